package admin

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guarded lets only requests through that call the server by a name of its own. A page on the web
// can make its own DNS name point at 127.0.0.1 and would then be of the same origin as we are; but
// the browser still says that name in Host.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if !s.isOurs(r.Host) {
			hostRefused.ServeHTTP(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// isOurs reports whether a Host header names this server: loopback, the address that it was told
// to listen at, or a listed name.
func (s *Server) isOurs(host string) bool {
	name := hostOf(host)
	bound := hostOf(s.Addr())
	_, err := netip.ParseAddr(name)
	return isLoopback(name) || err == nil && name == bound ||
		slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// hostOf is the host of host:port or of a host alone.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// isNear reports whether the request was made on this machine. What a proxy passes on was not,
// though the proxy's own connection comes from here.
func isNear(r *http.Request) bool {
	passedOn := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != ""
	return !passedOn && isLoopback(hostOf(r.RemoteAddr))
}
