package spelling

import "testing"

func TestDistanceCountsEditsAndSwaps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"roles", "roles", 0}, {"role", "roles", 1}, {"rolse", "roles", 1},
		{"", "abc", 3}, {"kitten", "sitting", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s to %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestTheNearestNameIsFoundUnlessItIsFar(t *testing.T) {
	t.Parallel()
	names := []string{"Login", "Say", "Leaders"}
	for word, want := range map[string]string{"Logn": "Login", "Lgoin": "Login", "Sya": "Say", "Top": "", "": ""} {
		if is, ok := Nearest(word, names); is != want || ok != (want != "") {
			t.Errorf("%q is near %q", word, is)
		}
	}
}
