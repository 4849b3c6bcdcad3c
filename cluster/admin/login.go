package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"
)

// Bounds of logins.
const (
	maxLogins = 16             // at once; a further one ends the oldest
	loginFor  = 12 * time.Hour // after which a login ends by itself
)

const (
	cookieName = "firefly_admin"
	csrfHeader = "X-Firefly-CSRF"
)

// logins exchange the token of the console for a cookie. A token works once; then there is a next.
type logins struct {
	announce func(token string)
	now      func() time.Time

	mu    sync.Mutex
	token string
	held  []login // oldest first
}

// A login is one browser that may change something.
type login struct {
	cookie string // a secret between the browser and us, which no script can read
	csrf   string // a secret that only our own page can read and send along
	until  time.Time
}

// mint makes the first token and tells the console.
func (l *logins) mint() {
	l.mu.Lock()
	l.token = rand.Text() // 130 bits: nothing to guess
	token := l.token
	l.mu.Unlock()
	l.announce(token)
}

// exchange takes the token for a login, and tells the console the next.
func (l *logins) exchange(token string) (login, bool) {
	made, next := l.add(token)
	if next == "" {
		return login{}, false
	}
	l.announce(next)
	return made, true
}

// add uses the token up. Without a next one, it was not the token.
func (l *logins) add(token string) (made login, next string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token == "" || !same(token, l.token) {
		return login{}, ""
	}
	made = login{cookie: rand.Text(), csrf: rand.Text(), until: l.now().Add(loginFor)}
	if len(l.held) == maxLogins {
		l.held = l.held[1:]
	}
	l.held = append(l.held, made)
	l.token = rand.Text()
	return made, l.token
}

// of finds the login whose cookie a request carries.
func (l *logins) of(r *http.Request) (login, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return login{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.held {
		if same(c.Value, one.cookie) && l.now().Before(one.until) {
			return one, true
		}
	}
	return login{}, false
}

// same compares secrets in a time that tells nothing about them.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// setCookie hands the login to the browser. Other sites cannot make the browser send it.
func (l login) setCookie(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: l.cookie, Path: "/admin/",
		MaxAge: int(loginFor.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode})
}
