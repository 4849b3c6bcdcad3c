package admin

import (
	"testing"
)

func TestOnlyItsOwnNamesAreAnswered(t *testing.T) {
	t.Parallel()
	s := operate(t, func(o *Options) { o.Hosts = []string{"ops.example"} })
	for _, name := range []string{"127.0.0.1", "127.0.0.1:9480", "localhost:1", "LOCALHOST",
		"[::1]:9480", "[::1]", "ops.example", "Ops.Example:443"} {
		s.expect(200, "ok", "GET", "/healthz", "", host(name))
	}
	for _, name := range []string{"evil.example", "127.0.0.1.evil.example",
		"localhost.evil.example",
		"10.0.0.1", "ops.example.evil.example:80", "169.254.169.254"} {
		for _, path := range []string{"/", "/healthz", "/metrics", "/play.json", "/admin/",
			"/admin/report.json"} {
			s.expect(403, "HOST_REFUSED", "GET", path, "", host(name))
		}
		s.expect(403, "HOST_REFUSED", "POST", "/admin/login", s.token(), host(name))
	}
}

func TestReadingFromAfarWantsALogin(t *testing.T) {
	t.Parallel()
	s := operate(t)
	afar := header("X-Forwarded-For", "203.0.113.9")
	s.expect(401, "LOGIN_WANTED", "GET", "/admin/report.json", "", afar)
	s.expect(401, "LOGIN_WANTED", "GET", "/admin/report.json", "", header("Forwarded", "for=x"))
	cookie, _ := s.loggedIn()
	s.expect(200, "gate-1", "GET", "/admin/report.json", "", afar, cookie)
}
