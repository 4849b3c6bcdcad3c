package admin

import (
	"encoding/json"
	"net/http"
)

// A refusal is how a request is turned down: {"code": ..., "text": ...}.
type refusal struct {
	status int
	Code   string `json:"code"`
	Text   string `json:"text"`
}

// The refusals, each with what to do about it.
var (
	hostRefused = refusal{http.StatusForbidden, "HOST_REFUSED",
		"this server is not called by that name: use its loopback address, or list the name"}
	originRefused = refusal{http.StatusForbidden, "ORIGIN_REFUSED",
		"the request comes from a page of another site"}
	postWanted = refusal{http.StatusMethodNotAllowed, "POST_WANTED",
		"this changes something, so it takes a POST"}
	loginWanted = refusal{http.StatusUnauthorized, "LOGIN_WANTED",
		"log in with the token that the admin node printed on its console"}
	tokenRefused = refusal{http.StatusUnauthorized, "TOKEN_REFUSED",
		"that token is wrong or was used: each login uses one up, and the console shows the next"}
	csrfRefused = refusal{http.StatusForbidden, "CSRF_REFUSED",
		"the header " + csrfHeader + " does not hold what the login returned"}
	tooBig = refusal{http.StatusRequestEntityTooLarge, "TOO_BIG", "the body is too large"}
)

func (r refusal) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if r.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	writeJSON(w, r.status, r)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader went away: nobody is left to tell
}
