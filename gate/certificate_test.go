package gate_test

import (
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/gate"
)

// shown is the serial number of the certificate that a new connection sees.
func (h *house) shown(s gate.Scheme) int64 {
	h.t.Helper()
	c, err := tls.Dial("tcp", h.server.Address(s), believing())
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestACertificateIsChangedWithoutARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	old := h.login(h.at(gate.TLS), "old")
	if n := h.shown(gate.TLS); n != 1 {
		t.Fatalf("it begins with certificate %d", n)
	}
	cert, key := issue(t, 2, 2*time.Hour)
	h.paper.write(cert, key, time.Now())
	for _, scheme := range []gate.Scheme{gate.TLS, gate.WSS} {
		until(t, "the new certificate on "+string(scheme), func() bool { return h.shown(scheme) == 2 })
		h.login(h.at(scheme), "new")
	}
	if r, err := h.call(old, &say{"still here"}); err != nil || r.(*said).Text != "still here" {
		t.Errorf("the old connection: %v, %v", r, err)
	}
	if n := h.log.count("was read again"); n != 1 {
		t.Errorf("it was read again %d times", n)
	}
}

func TestABrokenCertificateLeavesTheOldOneAndIsToldOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	cert, key := issue(t, 2, time.Hour)
	_, other := issue(t, 3, time.Hour)
	ended, endedKey := issue(t, 4, -time.Minute)
	for i, files := range []struct {
		cert, key []byte
		why       string
	}{
		{cert, other, "private key does not match public key"},
		{[]byte("half a fi"), key, "failed to find any PEM data"},
		{ended, endedKey, "expired on 20"},
	} {
		h.paper.write(files.cert, files.key, time.Now().Add(time.Duration(i)*time.Second))
		until(t, "the failure to be noticed", func() bool {
			h.shows.Until() // as metrics ask, though no client comes
			return h.shows.Failures() == uint64(i)+1
		})
		if h.shown(gate.TLS) != 1 || h.log.count(files.why) == 0 {
			t.Errorf("after %q certificate %d is shown", files.why, h.shown(gate.TLS))
		}
	}
	if n := h.log.count("cannot be used; the last one is kept"); n != 3 {
		t.Errorf("it was told %d times", n)
	}
	h.paper.write(cert, key, time.Now().Add(time.Minute))
	until(t, "the good one", func() bool { return h.shown(gate.TLS) == 2 })
}

func TestACertificateThatBeginsLaterIsShownThen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	cert, key := issueFrom(t, 2, time.Now().Add(3*time.Second), time.Hour)
	h.paper.write(cert, key, time.Now())
	until(t, "the new one to be looked at", func() bool { h.shows.Until(); return h.shows.Failures() == 1 })
	until(t, "it to be valid", func() bool { return h.shown(gate.TLS) == 2 })
	if n := h.shows.Failures(); n != 1 || h.log.count("cannot be used; the last one is kept") != 1 {
		t.Errorf("it was told %d times", n)
	}
}

func TestACertificateThatNobodyCouldBelieveIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	cert, key := issue(t, 1, time.Hour)
	_, other := issue(t, 2, time.Hour)
	ended, endedKey := issue(t, 3, -time.Minute)
	for want, files := range map[string][2][]byte{
		"no such file":   {nil, key},
		"does not match": {cert, other},
		"expired on 20":  {ended, endedKey},
		"any PEM data":   {[]byte("x"), key},
	} {
		p := paper{t, filepath.Join(t.TempDir(), "gate.pem"), filepath.Join(t.TempDir(), "gate.key")}
		p.write(files[0], files[1], time.Now())
		if files[0] == nil {
			if err := os.Remove(p.cert); err != nil {
				t.Fatal(err)
			}
		}
		_, err := gate.OpenCertificate(p.cert, p.key, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), p.cert) {
			t.Errorf("want %q and the file's name, got: %v", want, err)
		}
	}
}

func TestACertificateThatEndsSoonIsWarnedOf(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil) // its own has an hour left
	for range 3 {
		h.shown(gate.TLS)
	}
	if n := h.log.count("ends soon: renew it"); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

func TestOldTLSIsRefusedAndHandshakesThatFailAreCountedNotLogged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	before := h.log.count("level=")
	config := believing()
	config.MaxVersion = tls.VersionTLS11
	config.MinVersion = tls.VersionTLS10
	if c, err := tls.Dial("tcp", h.server.Address(gate.TLS), config); err == nil {
		c.Close()
		t.Error("TLS 1.1 was spoken")
	}
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	c, err := tls.Dial("tcp", h.server.Address(gate.TLS), config)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	plain := h.raw("tcp://" + h.server.Address(gate.WSS))
	if _, err := plain.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, plain); !strings.Contains(got, "wss://, not ws://") {
		t.Errorf("somebody who came with http was told %q", got)
	}
	until(t, "the failures to be counted", func() bool { return h.gate.Counters.Unsecured.Load() == 2 })
	until(t, "the connections to be gone", func() bool { return h.gate.Counters.Connections.Load() == 0 })
	if n := h.log.count("level=") - before; n != 0 {
		t.Errorf("a stranger filled %d lines of the log", n)
	}
}
