package identity

import (
	"log/slog"
	"os"
	"sync"
	"time"
)

// When a credential looks and speaks.
const (
	lookEach  = time.Second         // at most so often it looks whether files have changed
	warnAhead = 30 * 24 * time.Hour // so long before its end a certificate is warned about
	warnEach  = 24 * time.Hour
)

// A Credential is the certificate of this process for as long as it lives: files that change are read again. Its
// methods may be called from any goroutine.
type Credential struct {
	files Files
	self  Identity
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	proof  *Proof
	seen   [4]stamp // of the files that proof, or the last failure, is of
	looked time.Time
	warned time.Time
}

// stamp tells one state of a file from another.
type stamp struct {
	size    int64
	changed time.Time
}

// Open reads the files of a process that must be able to prove who it is.
func Open(files Files, self Identity, log *slog.Logger) (*Credential, error) {
	c := &Credential{files: files, self: self, log: log, now: time.Now}
	now := c.now()
	c.seen, c.looked = c.stamps(), now
	var err error
	if c.proof, err = files.Read(self, now); err != nil {
		return nil, err
	}
	c.warn(now)
	return c, nil
}

// Proof is what the files hold, or held when they were last fit to be used.
func (c *Credential) Proof() *Proof {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) >= lookEach {
		c.looked = now
		c.renew(now)
		c.warn(now)
	}
	return c.proof
}

// renew reads the files if they have changed. What cannot be read is kept in mind, so that it is told once.
func (c *Credential) renew(now time.Time) {
	stamps := c.stamps()
	if stamps == c.seen {
		return
	}
	c.seen = stamps
	proof, err := c.files.Read(c.self, now)
	if err != nil {
		c.log.Error("the certificate has changed and cannot be used; the last one is kept", "error", err,
			"until", c.proof.Until)
		return
	}
	c.proof, c.warned = proof, time.Time{}
	c.log.Info("the certificate was read again", "file", c.files.Cert, "until", proof.Until)
}

// warn says, once a day, what will be a problem.
func (c *Credential) warn(now time.Time) {
	if now.Sub(c.warned) < warnEach {
		return
	}
	left := c.proof.Until.Sub(now)
	switch {
	case left <= 0:
		c.log.Error("this node's certificate has expired: nobody lets it in", "file", c.files.Cert,
			"until", c.proof.Until)
	case left < warnAhead:
		c.log.Warn("this node's certificate ends soon: renew it", "file", c.files.Cert, "until", c.proof.Until)
	case c.proof.open:
		c.log.Warn("others than the owner may read this node's key: chmod 600", "file", c.files.Key)
	default:
		return
	}
	c.warned = now
}

func (c *Credential) stamps() (all [4]stamp) {
	for i, file := range [...]string{c.files.CA, c.files.Cert, c.files.Key, c.files.Servers} {
		if at, err := os.Stat(file); err == nil {
			all[i] = stamp{at.Size(), at.ModTime()}
		}
	}
	return all
}
