// Package account is a gameplay module: a client says a name and a secret, and acts as that player from then on.
//
// A name belongs to whoever comes with it first; that is committed before the answer leaves. After too many wrong
// secrets the player is locked for a while. It promises that the secret itself goes no further than the door: the
// player keeps and compares a hash, and recordings hold neither. It does not hash slowly: secrets are meant to be made
// by programs, of 128 random bits or more, which nobody finds by trying. Passwords that people choose want argon2id.
package account

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"regexp"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// The bounds of what a client may send, in bytes, and of how often it may be wrong.
const (
	SecretLeast = 16
	SecretMost  = 128
	WishMost    = 64
	TriesMost   = 5
	LockedFor   = time.Minute
)

// What a login can be refused with.
const (
	BadName     actors.Code = "LOGIN_BAD_NAME"
	BadSecret   actors.Code = "LOGIN_BAD_SECRET" // too short or too long
	WrongSecret actors.Code = "LOGIN_WRONG_SECRET"
	Locked      actors.Code = "LOGIN_LOCKED"
)

// Messages has the numbers 100 to 199.
var Messages = wire.Messages(
	wire.In[*Login](101).Public().Rate(5, 10*time.Second),
	wire.Out[*LoggedIn](102),
	wire.Internal[*Prove](103),
	wire.Internal[*Proved](104),
)

// Login is a client's first request.
type Login struct {
	Name   string `json:"name"`
	Secret string `json:"secret" firefly:"sensitive"`
	Wish   string `json:"wish"` // for the game, at the first visit: a character, a place to begin
}

// LoggedIn is the answer.
type LoggedIn struct {
	Name string `json:"name"`
	New  bool   `json:"new"` // this was the first visit
}

// Prove is the door asking the player whether whoever comes may be it.
type Prove struct {
	Sum  string `json:"sum" firefly:"sensitive"`
	Wish string `json:"wish"`
}

// Proved is the player saying yes.
type Proved struct {
	New bool `json:"new"`
}

// Created is emitted in the player's entity at its first visit.
type Created struct{ Wish string }

var goodName = regexp.MustCompile(`^[\p{L}\p{N}_-]{1,16}$`)

// Door makes the constructor of a Workers kind that logs clients in as entities of the player kind.
func Door(player actors.KindName) func(*actors.Props) {
	return func(p *actors.Props) {
		actors.Answer(p, func(ctx actors.Context, m *Login) (*LoggedIn, error) { return login(ctx, player, m) })
	}
}

// login lets the client act as a player when the player says that the secret is right.
func login(ctx actors.Context, player actors.KindName, m *Login) (*LoggedIn, error) {
	if !goodName.MatchString(m.Name) {
		return nil, BadName.Refuse("a name is 1 to 16 letters, digits, _ or -")
	}
	if n := len(m.Secret); n < SecretLeast || n > SecretMost || len(m.Wish) > WishMost {
		return nil, BadSecret.Refuse("a secret is %d to %d bytes, a wish at most %d", SecretLeast, SecretMost, WishMost)
	}
	who := player.Ref(m.Name)
	return actors.Reply(ctx, actors.Ask[*Proved](who, &Prove{Sum: sum(m.Name, m.Secret), Wish: m.Wish}),
		func(ctx actors.Context, proved *Proved, err error) (*LoggedIn, error) {
			if err != nil {
				return nil, err
			}
			ctx.Login(who)
			return &LoggedIn{Name: m.Name, New: proved.New}, nil
		})
}

func sum(name, secret string) string {
	s := sha256.Sum256([]byte(name + "\x00" + secret))
	return hex.EncodeToString(s[:])
}

// An Account is the module in a player's entity.
type Account struct {
	lock *actors.Cell[lock]
}

type lock struct {
	Sum   string    `json:"sum" firefly:"sensitive"` // empty: nobody came yet
	Wrong int       `json:"wrong"`
	Until time.Time `json:"until"` // locked until then
}

// Mount lets clients log in as this entity. Its cell is "account".
func Mount(p *actors.Props) *Account {
	a := &Account{lock: actors.State[lock](p, "account")}
	actors.Answer(p, a.prove)
	return a
}

// Claimed reports whether anybody has ever logged in as this entity.
func (a *Account) Claimed() bool { return a.lock.View().Sum != "" }

// prove takes the first secret that comes for the player's own. Wrong ones are counted although they are refused.
func (a *Account) prove(ctx actors.Context, m *Prove) (*Proved, error) {
	l := a.lock.View()
	if ctx.Now().Before(l.Until) {
		return nil, Locked.Refuse("too many wrong secrets; try again in a minute")
	}
	if l.Sum == "" {
		a.lock.Edit().Sum = m.Sum
		ctx.Emit(&Created{Wish: m.Wish})
		ctx.Commit() // from here on the name is theirs
		return &Proved{New: true}, nil
	}
	if subtle.ConstantTimeCompare([]byte(l.Sum), []byte(m.Sum)) != 1 {
		if l.Wrong++; l.Wrong >= TriesMost {
			l.Wrong, l.Until = 0, ctx.Now().Add(LockedFor)
		}
		*a.lock.Edit() = l
		return nil, actors.Keep(WrongSecret.Refuse("this is not the secret of %s", ctx.Self().ID))
	}
	if l.Wrong > 0 {
		a.lock.Edit().Wrong = 0
	}
	return &Proved{}, nil
}
