package hotreload

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dir is a directory of tables that a test edits, and the log of the Set that reads it.
type dir struct {
	t    *testing.T
	path string
	log  *notes
}

// notes are a log that can be read while it is written.
type notes struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (r *notes) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.Write(b)
}

func (r *notes) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.lines.String(), what)
}

func newDir(t *testing.T, files map[string]string) dir {
	d := dir{t, t.TempDir(), new(notes)}
	for name, content := range files {
		d.write(name, content)
	}
	return d
}

func (d dir) open(tables ...Declared) *Set {
	d.t.Helper()
	log := slog.New(slog.NewTextHandler(d.log, nil))
	s, err := Open(Options{Tables: tables, Dir: d.path, Log: log})
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// watch opens the tables and watches them until the test ends.
func (d dir) watch(tables ...Declared) *Set {
	d.t.Helper()
	s := d.open(tables...)
	s.Start()
	d.t.Cleanup(s.Stop)
	return s
}

func (d dir) write(name, content string) {
	d.t.Helper()
	d.try(os.WriteFile(filepath.Join(d.path, name), []byte(content), 0o600))
}

// save is what careful editors do: write beside it and rename.
func (d dir) save(name, content string) {
	d.t.Helper()
	d.write(name+"~", content)
	d.try(os.Rename(filepath.Join(d.path, name+"~"), filepath.Join(d.path, name)))
}

func (d dir) try(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// until polls for what must become true, and says what it waited for.
func until(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", within, what)
		}
	}
}

// never polls for as long as something must stay true.
func never(t *testing.T, during time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			t.Fatalf("saw %s", what)
		}
	}
}

func costs(s *Set, p *Table[string, price], gold int32) func() bool {
	return func() bool {
		got, _ := p.Find(s.Current(), "lamp")
		return got.Gold == gold
	}
}

const lampFor3 = "item,gold\nlamp,3\n"

func TestAGoodSaveIsLiveWithinASecond(t *testing.T) {
	t.Parallel()
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.watch(p)
	d.write("prices.csv", "item,gold\nlamp,4\n")
	until(t, time.Second, "the written price", costs(s, p, 4))
	d.save("prices.csv", "item,gold\nlamp,5\n")
	until(t, time.Second, "the renamed price", costs(s, p, 5))
	d.write("prices.csv", "item,gold\nlamp,6") // no end of line
	until(t, 2*time.Second, "the price in an unended line", costs(s, p, 6))
	if n := d.log.count("tables reloaded"); n != 3 {
		t.Errorf("%d reloads for 3 saves", n)
	}
}

func TestASaveBetweenOpenAndStartIsSeen(t *testing.T) {
	t.Parallel()
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.open(p)
	d.write("prices.csv", "item,gold\nlamp,4\n")
	s.Start()
	defer s.Stop()
	until(t, time.Second, "the price", costs(s, p, 4))
}

func TestWithoutEventsPollingFindsTheSave(t *testing.T) {
	t.Parallel()
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.open(p)
	s.begin(&eyes{}, pollEvery) // as where the system has no watches left
	defer s.Stop()
	d.write("prices.csv", "item,gold\nlamp,4\n")
	until(t, 2*time.Second, "the first look", costs(s, p, 4))
	d.write("prices.csv", "item,gold\nlamp,5\n")
	until(t, 2*time.Second, "the price", costs(s, p, 5))
}

func TestWithoutPollingEventsFindTheSave(t *testing.T) {
	t.Parallel()
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.open(p)
	s.begin(newEyes(s), time.Hour)
	defer s.Stop()
	d.write("prices.csv", "item,gold\nlamp,4\n")
	until(t, 2*time.Second, "the first look", costs(s, p, 4))
	d.save("prices.csv", "item,gold\nlamp,5\n")
	until(t, time.Second, "the price", costs(s, p, 5))
}

func TestABrokenFileChangesNothingAndIsReportedOnce(t *testing.T) {
	t.Parallel()
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.watch(p)
	d.write("prices.csv", "item,gold\nlamp,four\n")
	until(t, 2*time.Second, "the report", func() bool { return s.Status().LastError != "" })
	where := d.path + "/prices.csv:2:6"
	got := s.Status().LastError
	if !strings.HasPrefix(got, where+`: gold is "four"; write a whole number`) {
		t.Errorf("last error %q", got)
	}
	d.save("prices.csv", "item,gold\nlamp,four\n") // the same again: events, but nothing new
	never(t, 700*time.Millisecond, "the fault again, or its effect", func() bool {
		return d.log.count(where) > 1 || !costs(s, p, 3)()
	})
	if d.log.count("at="+where) != 1 {
		t.Errorf("the log says\n%s", d.log.lines.String())
	}
	d.write("prices.csv", "item,gold\nlamp,4\n")
	until(t, time.Second, "the mended price", costs(s, p, 4))
	if got := s.Status().LastError; got != "" {
		t.Errorf("the mended error stays: %q", got)
	}
}

func TestAFilePutBackAsItWasClearsTheError(t *testing.T) {
	t.Parallel()
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.watch(p)
	d.try(os.Remove(filepath.Join(d.path, "prices.csv")))
	until(t, 2*time.Second, "the report of a deleted file", func() bool {
		return s.Status().LastError == d.path+
			"/prices.csv:1:1: no such file or directory; put a readable file there"
	})
	if !costs(s, p, 3)() {
		t.Error("the deleted file took its rows along")
	}
	d.write("prices.csv", lampFor3)
	until(t, 2*time.Second, "the error to go", func() bool { return s.Status().LastError == "" })
}

func TestAHalfWrittenFileChangesNothingAndIsNotReported(t *testing.T) {
	t.Parallel()
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.watch(p)
	whole := "item,gold\nmoon,9\nlamp,4444\n"
	f, err := os.Create(filepath.Join(d.path, "prices.csv")) // truncates
	d.try(err)
	for i := range whole { // each part alone would be broken, or a table with other prices
		never(t, 30*time.Millisecond, "a part of the file, or a report of it", func() bool {
			return !costs(s, p, 3)() || d.log.count("tables") > 0
		})
		_, err := f.WriteString(whole[i : i+1])
		d.try(err)
	}
	d.try(f.Close())
	until(t, time.Second, "the whole file", costs(s, p, 4444))
}

func TestADirectoryThatWasReplacedIsStillWatched(t *testing.T) {
	t.Parallel()
	d := newDir(t, nil)
	sub := filepath.Join(d.path, "shop")
	d.try(os.Mkdir(sub, 0o700))
	d.write("shop/prices.csv", lampFor3)
	p := CSV("shop/prices.csv", byItem)
	s := d.open(p)
	e := newEyes(s)
	s.begin(e, pollEvery)
	defer s.Stop()
	d.try(os.Rename(sub, sub+".old"))
	d.try(os.Mkdir(sub, 0o700))
	d.write("shop/prices.csv", "item,gold\nlamp,4\n")
	until(t, 3*time.Second, "the price in the new directory", costs(s, p, 4))
	until(t, 3*time.Second, "events of the new directory", func() bool {
		return slices.Contains(e.watcher.WatchList(), sub)
	})
}

func TestWhatIsBuiltInIsReadWhereTheDirectoryIsNot(t *testing.T) {
	t.Parallel()
	p := prices()
	s, err := Open(Options{Tables: []Declared{p}, Dir: "not/here", Fallback: os.DirFS(newDir(t,
		map[string]string{"prices.csv": lampFor3}).path)})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Stop()
	if !costs(s, p, 3)() || s.Status().Dir != "(built in)" {
		t.Errorf("status %+v", s.Status())
	}
	if err := s.Reload(); err != nil {
		t.Errorf("reloading what is built in: %v", err)
	}
}

func TestStopWaitsForTheWatchingToEnd(t *testing.T) {
	t.Parallel()
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.open(p)
	s.Start()
	s.Stop()
	select {
	case <-s.done:
	default:
		t.Error("Stop returned and the goroutine runs on")
	}
	if !costs(s, p, 3)() {
		t.Error("the tables went away with the watching")
	}
}
