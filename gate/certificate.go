package gate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// When a certificate looks and speaks.
const (
	lookEach  = time.Second         // at most so often it looks whether its files have changed
	warnAhead = 14 * 24 * time.Hour // so long before its end it is warned about
	warnEach  = 24 * time.Hour
)

// A Certificate is what a gate shows to clients over tls:// and wss://. Files that change are read
// again, at the latest by the first handshake a second later; connections that are open stay. Its
// methods may be called from any goroutine.
type Certificate struct {
	files [2]string // certificate, with those between it and its CA, and key; PEM
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	shown  *tls.Certificate
	seen   [2]stamp // of the files that shown, or the last failure, is of
	unfit  bool     // those could not be used
	failed uint64
	looked time.Time
	warned time.Time
}

// A stamp tells one state of a file from another.
type stamp struct {
	size    int64
	changed time.Time
}

// OpenCertificate reads a certificate and its key. The error names the file and what is wrong with
// it.
func OpenCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{files: [2]string{cert, key}, log: log, now: time.Now}
	now := c.now()
	c.seen, c.looked = c.stamps(), now
	var err error
	if c.shown, err = c.read(now); err != nil {
		return nil, err
	}
	c.warn(now)
	return c, nil
}

// Until is when the certificate ends that is shown now.
func (c *Certificate) Until() time.Time { return c.current().Leaf.NotAfter }

// Failures is how often changed files could not be used.
func (c *Certificate) Failures() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// config is how connections are secured. Tickets of sessions are made with keys that it changes
// daily by itself.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil }}
}

// current is what the files hold, or held when they were last fit to be used.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= lookEach {
		c.looked = now
		c.renew(now)
		c.warn(now)
	}
	return c.shown
}

// renew reads the files if they have changed. What cannot be used is told once, and tried again: that it is not valid
// yet, or may not be read yet, passes without a change of the files.
func (c *Certificate) renew(now time.Time) {
	stamps := c.stamps()
	known := stamps == c.seen
	if known && !c.unfit {
		return
	}
	next, err := c.read(now)
	c.seen, c.unfit = stamps, err != nil
	if err != nil && known {
		return
	}
	if err != nil {
		c.failed++
		c.log.Error("the clients' certificate has changed and cannot be used; the last one is kept",
			"error", err, "until", c.shown.Leaf.NotAfter)
		return
	}
	c.shown, c.warned = next, time.Time{}
	c.log.Info("the clients' certificate was read again", "file", c.files[0],
		"until", next.Leaf.NotAfter)
}

// read reads the files, and looks whether a client could believe them now.
func (c *Certificate) read(now time.Time) (*tls.Certificate, error) {
	var pem [2][]byte
	for i, file := range c.files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("gate: reading the clients' certificate: %w", err)
		}
		pem[i] = text
	}
	pair, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		return nil, fmt.Errorf("gate: reading the clients' certificate, %s with %s: %w",
			c.files[0], c.files[1], err)
	}
	switch leaf := pair.Leaf; {
	case now.After(leaf.NotAfter):
		return nil, fmt.Errorf("gate: %s expired on %s", c.files[0], leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return nil, fmt.Errorf("gate: %s is not valid before %s", c.files[0],
			leaf.NotBefore.Format(time.RFC3339))
	}
	return &pair, nil
}

// warn says, once a day, what will be a problem.
func (c *Certificate) warn(now time.Time) {
	until := c.shown.Leaf.NotAfter
	if left := until.Sub(now); left >= warnAhead || now.Sub(c.warned) < warnEach {
		return
	} else if left <= 0 {
		c.log.Error("the clients' certificate has expired: nobody believes it", "file", c.files[0],
			"until", until)
	} else {
		c.log.Warn("the clients' certificate ends soon: renew it", "file", c.files[0], "until", until)
	}
	c.warned = now
}

func (c *Certificate) stamps() (all [2]stamp) {
	for i, file := range c.files {
		if at, err := os.Stat(file); err == nil {
			all[i] = stamp{at.Size(), at.ModTime()}
		}
	}
	return all
}
