package wire

import "fmt"

// Numbers of the runtime's own frames between client and gate. Their bodies are JSON, whatever
// codec the session speaks.
const (
	NumberHello   uint32 = 1
	NumberWelcome uint32 = 2
	NumberError   uint32 = 3
	NumberClose   uint32 = 4
	NumberPing    uint32 = 5
	NumberPong    uint32 = 6
)

// Hello is the client's first frame. All but Version may be left out.
type Hello struct {
	Version int     `json:"version"`
	Codec   string  `json:"codec,omitempty"`  // of the game's bodies: json (the default) or proto
	Ticket  string  `json:"ticket,omitempty"` // who the client is, if the game gives out tickets
	Client  string  `json:"client,omitempty"` // name/version, for the log
	Resume  *Resume `json:"resume,omitempty"`
}

// Resume asks for a session whose socket died.
type Resume struct {
	Session  string `json:"session"`
	Token    string `json:"token"`
	Received uint64 `json:"received"` // counted frames that the client has
}

// Welcome is the gate's answer to Hello.
type Welcome struct {
	Session   string `json:"session"`
	Token     string `json:"token,omitempty"`
	Codec     string `json:"codec"`       // as granted
	Heartbeat int    `json:"heartbeat_s"` // seconds of silence after which the gate pings
	FrameMax  int    `json:"frame_max"`   // bytes of the longest body that the gate takes
	Time      int64  `json:"time_ms"`     // the gate's clock, Unix milliseconds
	Received  uint64 `json:"received"`    // counted frames that the gate has
	Resumed   bool   `json:"resumed"`
	Reason    string `json:"reason,omitempty"` // why it was not resumed
}

// Error is the body of every frame with FlagError. As the answer to a request it stands under the
// request's number and seq; under NumberError, with seq 0, there is no request to name.
type Error struct {
	Code       string `json:"code"`
	Text       string `json:"text,omitempty"`
	RetryAfter int64  `json:"retry_after_ms,omitempty"` // milliseconds
	Incident   string `json:"incident,omitempty"`
}

// Close is the last frame before the gate closes the connection.
type Close struct {
	Code   string      `json:"code"`
	Number CloseNumber `json:"number"`
	Text   string      `json:"text,omitempty"`
}

// Ping may come from either side and is answered by a Pong with the same seq, 0 included.
type Ping struct {
	Received uint64 `json:"received"` // counted frames (number 100 and up) that the sender has
}

// Pong answers Ping.
type Pong struct {
	Received uint64 `json:"received"`
}

// A CloseNumber says why the gate closes and, by its range, whether to come back: 1xxx now, 2xxx
// later, 3xxx not.
type CloseNumber uint16

// The close numbers.
const (
	CloseRestarting      CloseNumber = 1001
	CloseSlowClient      CloseNumber = 2003
	CloseRateLimited     CloseNumber = 2004
	CloseBadFrame        CloseNumber = 3001
	CloseHelloTimeout    CloseNumber = 3002
	CloseVersion         CloseNumber = 3003
	CloseUnauthenticated CloseNumber = 3004
	CloseTakenOver       CloseNumber = 3005
	CloseKicked          CloseNumber = 3006
)

// CloseNumbers returns all of them, in order.
func CloseNumbers() []CloseNumber {
	return []CloseNumber{CloseRestarting, CloseSlowClient, CloseRateLimited, CloseBadFrame,
		CloseHelloTimeout, CloseVersion, CloseUnauthenticated, CloseTakenOver, CloseKicked}
}

// String is the code that stands beside the number in a Close.
func (n CloseNumber) String() string {
	switch n {
	case CloseRestarting:
		return "RESTARTING"
	case CloseSlowClient:
		return "SLOW_CLIENT"
	case CloseRateLimited:
		return "RATE_LIMITED"
	case CloseBadFrame:
		return "BAD_FRAME"
	case CloseHelloTimeout:
		return "HELLO_TIMEOUT"
	case CloseVersion:
		return "VERSION"
	case CloseUnauthenticated:
		return "UNAUTHENTICATED"
	case CloseTakenOver:
		return "TAKEN_OVER"
	case CloseKicked:
		return "KICKED"
	}
	return fmt.Sprintf("CLOSED_%d", uint16(n))
}

// A Return is what a close number advises the client to do.
type Return uint8

// The advices.
const (
	ReturnNever Return = iota
	ReturnNow
	ReturnLater
)

// Advice reads the number's range. An unknown range says never, the careful answer.
func (n CloseNumber) Advice() Return {
	switch n / 1000 {
	case 1:
		return ReturnNow
	case 2:
		return ReturnLater
	}
	return ReturnNever
}
