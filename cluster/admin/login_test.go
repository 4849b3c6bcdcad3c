package admin

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// loggedIn exchanges the console's token and returns what a browser then sends along.
func (s *operated) loggedIn() (cookie, csrf func(*http.Request)) {
	s.t.Helper()
	answer, text := s.ask("POST", "/admin/login", s.token())
	if answer.StatusCode != http.StatusOK || len(answer.Cookies()) != 1 {
		s.t.Fatalf("login: %d %s", answer.StatusCode, text)
	}
	_, secret, _ := strings.Cut(text, `"csrf":"`)
	secret, _, _ = strings.Cut(secret, `"`)
	c := answer.Cookies()[0]
	return func(r *http.Request) { r.AddCookie(c) }, header(csrfHeader, secret)
}

func TestReloadWantsAPostALoginAndTheSecretOfThePage(t *testing.T) {
	t.Parallel()
	s := operate(t)
	cookie, csrf := s.loggedIn()
	const path = "/admin/reload"
	got := s.expect(405, "POST_WANTED", "GET", path, "", cookie, csrf)
	if got.Header.Get("Allow") != "POST" {
		t.Error("it does not say what is allowed")
	}
	s.expect(401, "LOGIN_WANTED", "POST", path, "")
	s.expect(401, "LOGIN_WANTED", "POST", path, "", csrf)
	s.expect(401, "LOGIN_WANTED", "POST", path, "", csrf, header("Cookie", cookieName+"=guess"))
	s.expect(403, "CSRF_REFUSED", "POST", path, "", cookie)
	s.expect(403, "CSRF_REFUSED", "POST", path, "", cookie, header(csrfHeader, "guess"))
	s.expect(403, "ORIGIN_REFUSED", "POST", path, "", cookie, csrf,
		header("Sec-Fetch-Site", "cross-site"))
	s.expect(403, "ORIGIN_REFUSED", "POST", path, "", cookie, csrf,
		header("Origin", "http://evil.example"))
	if s.reloads != 0 {
		t.Fatalf("%d refused requests reloaded", s.reloads)
	}
	s.expect(200, "tables reloaded", "POST", path, "", cookie, csrf)
	if s.reloads != 1 {
		t.Errorf("%d reloads", s.reloads)
	}
	s.now(func() { s.refuse = errors.New("prices.csv:3:8: gold is \"x\"; write a number") })
	s.expect(409, `prices.csv:3:8: gold is \"x\"; write a number`, "POST", path, "", cookie, csrf)
}

func TestATokenWorksOnceAndTheConsoleShowsTheNext(t *testing.T) {
	t.Parallel()
	s := operate(t)
	first := s.token()
	want := "http://" + s.Addr() + "/admin/#token=" + first
	if s.printed[0] != want || len(first) < 26 {
		t.Errorf("the console shows %q", s.printed[0])
	}
	s.expect(401, "TOKEN_REFUSED", "POST", "/admin/login", "")
	s.expect(401, "TOKEN_REFUSED", "POST", "/admin/login", first+"x")
	s.expect(405, "POST_WANTED", "PUT", "/admin/login", first)
	s.loggedIn()
	s.expect(401, "TOKEN_REFUSED", "POST", "/admin/login", first)
	if next := s.token(); next == first || len(s.printed) != 2 {
		t.Errorf("after the login the console shows %q", s.printed)
	}
	s.loggedIn()
}

func TestTheCookieStaysBetweenBrowserAndServer(t *testing.T) {
	t.Parallel()
	s := operate(t)
	answer, _ := s.ask("POST", "/admin/login", s.token())
	c := answer.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode ||
		c.Path != "/admin/" || c.MaxAge != 12*3600 {
		t.Errorf("cookie %+v", c)
	}
}

func TestAPageLoadedAnewLearnsItsSecretAgain(t *testing.T) {
	t.Parallel()
	s := operate(t)
	s.expect(401, "LOGIN_WANTED", "GET", "/admin/login", "")
	cookie, csrf := s.loggedIn()
	r, _ := http.NewRequest("GET", "/", nil)
	csrf(r)
	s.expect(200, r.Header.Get(csrfHeader), "GET", "/admin/login", "", cookie)
}

func TestALoginEndsByItselfAndIsPushedOutByNewerOnes(t *testing.T) {
	t.Parallel()
	now, token := time.Unix(1e9, 0), ""
	l := &logins{now: func() time.Time { return now }, announce: func(t string) { token = t }}
	l.mint()
	var made []*http.Request
	for range maxLogins + 1 {
		one, ok := l.exchange(token)
		if !ok {
			t.Fatal("the token was refused")
		}
		r, _ := http.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: one.cookie})
		made = append(made, r)
	}
	if _, in := l.of(made[0]); in {
		t.Error("the oldest login outlived the bound")
	}
	if _, in := l.of(made[1]); !in {
		t.Error("a login within the bound is gone")
	}
	now = now.Add(loginFor - time.Second)
	if _, in := l.of(made[1]); !in {
		t.Error("a login ended early")
	}
	now = now.Add(time.Second)
	if _, in := l.of(made[1]); in {
		t.Error("a login never ends")
	}
}

func TestABodyOverTheBoundIsRefused(t *testing.T) {
	t.Parallel()
	s := operate(t)
	s.expect(401, "TOKEN_REFUSED", "POST", "/admin/login", strings.Repeat("x", maxBody))
	s.expect(413, "TOO_BIG", "POST", "/admin/login", strings.Repeat("x", maxBody+1))
}
