package scene_test

import (
	"math"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/modules/scene"
)

var meadow = scene.Grid{Columns: 3, Rows: 2, Wide: 100, High: 50}

func TestEverySpotOfTheMapLiesInOneRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spot scene.Spot
		room string // empty: not on the map
	}{
		{scene.Spot{X: 0, Y: 0}, "0,0"},
		{scene.Spot{X: 99.9, Y: 49.9}, "0,0"},
		{scene.Spot{X: 100, Y: 50}, "1,1"},
		{scene.Spot{X: 299.9, Y: 99.9}, "2,1"},
		{scene.Spot{X: 300, Y: 10}, ""},
		{scene.Spot{X: 10, Y: 100}, ""},
		{scene.Spot{X: -0.1, Y: 10}, ""},
		{scene.Spot{X: math.NaN(), Y: 10}, ""},
		{scene.Spot{X: 10, Y: math.NaN()}, ""},
		{scene.Spot{X: math.Inf(1), Y: 10}, ""},
		{scene.Spot{X: 10, Y: math.Inf(-1)}, ""},
		{scene.Spot{X: 1e300, Y: 1e300}, ""},
	} {
		if has := meadow.Has(c.spot); has != (c.room != "") {
			t.Errorf("Has(%v) = %v", c.spot, has)
		} else if has && meadow.Room(c.spot) != c.room {
			t.Errorf("Room(%v) = %s, not %s", c.spot, meadow.Room(c.spot), c.room)
		}
	}
}

func TestOnlyRoomsOfTheGridHaveAnIndex(t *testing.T) {
	t.Parallel()
	for i, room := range []string{"0,0", "1,0", "2,0", "0,1", "1,1", "2,1"} {
		if n, ok := meadow.Index(room); !ok || n != i {
			t.Errorf("Index(%q) = %d, %v", room, n, ok)
		}
		if got := meadow.Room(meadow.Within(room, 0.5, 0.5)); got != room {
			t.Errorf("the middle of %s lies in %s", room, got)
		}
	}
	for _, room := range []string{"", ",", "3,0", "0,2", "-1,0", "0,-1", "+1,0", "01,0", "1,0 ", "1,0,0", "a,b", "1"} {
		if n, ok := meadow.Index(room); ok {
			t.Errorf("Index(%q) = %d, but there is no such room", room, n)
		}
	}
}

func TestNobodyGetsFartherThanThePaceAllows(t *testing.T) {
	t.Parallel()
	pace := scene.Pace{Speed: 100, Slack: 10}
	then := time.Unix(1000, 0)
	for _, c := range []struct {
		after time.Duration
		reach float64
	}{{0, 10}, {100 * time.Millisecond, 20}, {time.Second, 110}, {time.Hour, 110}, {-time.Hour, 10}} {
		if got := pace.Reach(then, then.Add(c.after)); math.Abs(got-c.reach) > 1e-9 {
			t.Errorf("after %v: %v units, not %v", c.after, got, c.reach)
		}
	}
	from, to := scene.Spot{X: 10, Y: 10}, scene.Spot{X: 40, Y: 50}
	if got := from.Towards(to, 50); got != to {
		t.Errorf("50 units away and stopped at %v", got)
	}
	if got := from.Towards(to, 25); got != (scene.Spot{X: 25, Y: 30}) {
		t.Errorf("half the way is %v", got)
	}
	if got := from.Towards(from, 0); got != from {
		t.Errorf("going nowhere led to %v", got)
	}
}
