package etcdtest

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/freeport"
)

// Secured starts an etcd of one process as an operator runs it off the loopback, and waits until it answers: it speaks
// TLS with a certificate, and lets in whoever has one of that CA. It listens on the loopback all the same. The endpoint
// is host:port with the host 0.0.0.0, which Linux takes for this machine and nobody for its loopback: the certificate
// must be for that.
func Secured(t testing.TB, ca, cert, key string) (endpoint string) {
	t.Helper()
	installed(t)
	ports, err := freeport.Take(2)
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	t.Cleanup(ports.Release)
	client, peer := fmt.Sprintf("https://127.0.0.1:%d", ports.First), fmt.Sprintf("http://127.0.0.1:%d", ports.First+1)
	p := exec.Command("etcd", "--name", "etcd-0", "--data-dir", t.TempDir(), "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "etcd-0="+peer, "--log-level", "error",
		"--cert-file", cert, "--key-file", key, "--trusted-ca-file", ca, "--client-cert-auth")
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	t.Cleanup(func() {
		p.Process.Kill() //nolint:errcheck // it may have ended
		p.Wait()         //nolint:errcheck // it was killed
	})
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	// it is only asked for its health
	believing := &tls.Config{Certificates: []tls.Certificate{own}, InsecureSkipVerify: true}
	asks := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: believing}}
	await(t, "the secured etcd", &asks, client)
	return fmt.Sprintf("0.0.0.0:%d", ports.First)
}
