package persist_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// Figures of the store, for make bench. Each benchmark measures the server's own ceiling in the same run, in turns with
// ours, and takes the best of several rounds of both: a shared machine is never faster than it is. They print ratios
// and assert nothing. Run with -benchtime 1x.

const rounds = 5

// rowText is the contents of a row: 200 bytes.
var rowText = `{"x":"` + strings.Repeat("x", 192) + `"}`

// A dam holds back what is to be written while its gate is locked.
type dam struct {
	persist.Database
	gate sync.RWMutex
}

func (d *dam) Write(ctx context.Context, b persist.Batch) ([]persist.Outcome, error) {
	d.gate.RLock()
	defer d.gate.RUnlock()
	return d.Database.Write(ctx, b)
}

// A plant is a node on a MariaDB of its own, and the same tables without a node.
type plant struct {
	*testing.B
	*node
	server *mariadbtest.Server
	dam    *dam
	bare   *sql.DB
	held   map[string]*held
}

func newPlant(b *testing.B, entities int) *plant {
	b.Helper()
	server := mariadbtest.Start(b, "--innodb-buffer-pool-size=512M")
	dsn := server.DSN()
	db, err := persist.OpenMySQL(dsn)
	if err != nil {
		b.Fatal(err)
	}
	p := &plant{B: b, server: server, dam: &dam{Database: db}, held: make(map[string]*held)}
	p.node = newTown(b, p.dam).alone(persist.Limits{})
	if p.bare, err = sql.Open("mysql", dsn); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.bare.Close() })
	p.bare.SetMaxIdleConns(64)
	if _, err := p.bare.Exec("CREATE TABLE bare LIKE state_hero"); err != nil {
		b.Fatal(err)
	}
	for i := range entities {
		id := fmt.Sprintf("hero-%06d", i)
		s, err := loadNow(p.client, hero.Ref(id))
		if err != nil {
			b.Fatal(err)
		}
		p.held[id] = &held{id, s.Fence, s.Version}
	}
	return p
}

// apart gives the server half of the machine's CPUs, and this process the others: in earnest they are two machines, and
// what one computes does not slow the other down.
func (p *plant) apart() {
	p.Helper()
	cpus := runtime.NumCPU()
	if cpus < 2 {
		p.Skip("needs two CPUs")
	}
	half := cpus / 2
	if err := p.server.Pin(fmt.Sprintf("0-%d", half-1)); err != nil {
		p.Skip(err)
	}
	ours := fmt.Sprintf("%d-%d", half, cpus-1)
	self := strconv.Itoa(os.Getpid())
	if out, err := exec.Command("taskset", "-a", "-p", "-c", ours, self).CombinedOutput(); err != nil {
		p.Skipf("%v\n%s", err, out)
	}
	before := runtime.GOMAXPROCS(cpus - half)
	p.Cleanup(func() {
		runtime.GOMAXPROCS(before)
		all := fmt.Sprintf("0-%d", cpus-1)
		_ = exec.Command("taskset", "-a", "-p", "-c", all, self).Run()
	})
}

// flush saves every entity once and waits until all of them are durable.
func (p *plant) flush() { p.save(func() {}) }

// drain saves every entity once, and begins at the moment that all are pending, until all are durable: that is what
// keepers and writers make of the store, without the senders of the changes.
func (p *plant) drain(begin func()) {
	p.dam.gate.Lock()
	p.save(func() {
		until(p.B, "all to be pending", func() bool { return p.archive.Report().Rows == int64(len(p.held)) })
		begin()
		p.dam.gate.Unlock()
	})
}

func (p *plant) save(sent func()) {
	var all sync.WaitGroup
	var failed atomic.Int64
	for id, h := range p.held {
		h.version++
		all.Add(1)
		ref := hero.Ref(id)
		p.client.Save(ref, tenureOf(ref), actors.Change{Version: h.version, Fence: h.fence, Cells: []byte(rowText)},
			func(err error) {
				if err != nil {
					failed.Add(1)
				}
				all.Done()
			})
	}
	sent()
	all.Wait()
	if n := failed.Load(); n > 0 {
		p.Fatalf("%d of %d saves failed", n, len(p.held))
	}
}

// write writes as many rows as fast as the driver can: prepared statements of 256 rows, by some writers. Rows follow
// each other by their keys if stride is 1. Entities that have changed do not: another prime makes it so.
func (p *plant) write(rows, writers, stride, version int) {
	const each = 256
	text := "INSERT INTO bare (id, part, shard, epoch, version, data, updated_at) VALUES " +
		strings.TrimSuffix(strings.Repeat("(?,'',?,?,?,?,?),", each), ",") +
		" ON DUPLICATE KEY UPDATE shard = VALUES(shard), epoch = VALUES(epoch), version = VALUES(version)," +
		" data = VALUES(data), updated_at = VALUES(updated_at)"
	statement, err := p.bare.Prepare(text)
	if err != nil {
		p.Fatal(err)
	}
	defer statement.Close()
	var all sync.WaitGroup
	var next atomic.Int64
	for range writers {
		all.Go(func() {
			for at := int(next.Add(each)) - each; at+each <= rows; at = int(next.Add(each)) - each {
				args := make([]any, 0, 6*each)
				for i := range each {
					args = append(args, fmt.Sprintf("hero-%06d", (at+i)*stride%rows), 1, 1, version, rowText, version)
				}
				if _, err := statement.Exec(args...); err != nil {
					p.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// cpu is how long this process has been computing.
func cpu() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// An effort is what it takes to write rows: how many a second, and how long this process and the server compute.
type effort struct {
	rows           int
	best           float64 // rows/s of the best round
	client, server time.Duration
}

// take adds a round of work, which says when it begins.
func (e *effort) take(p *plant, rows int, work func(begin func())) {
	var at time.Time
	var client, server time.Duration
	work(func() { at, client, server = time.Now(), cpu(), p.server.CPU() })
	e.best = max(e.best, float64(rows)/time.Since(at).Seconds())
	e.rows, e.client, e.server = e.rows+rows, e.client+cpu()-client, e.server+p.server.CPU()-server
}

// report reports rows/s and the CPU time of a row, and both in proportion to the ceiling: more than 1 would be better
// than it.
func (e *effort) report(b *testing.B, name string, ceiling *effort) {
	perRow := func(e *effort) float64 { return float64((e.client + e.server).Nanoseconds()) / float64(e.rows) }
	b.ReportMetric(e.best, name+"-rows/s")
	b.ReportMetric(float64(e.client.Nanoseconds())/float64(e.rows), name+"-cpu-ns/row")
	b.ReportMetric(float64(e.server.Nanoseconds())/float64(e.rows), name+"-server-cpu-ns/row")
	if e != ceiling {
		b.ReportMetric(e.best/ceiling.best, name+"-of-ceiling")
		b.ReportMetric(perRow(ceiling)/perRow(e), name+"-of-ceiling-by-cpu")
	}
}

// BenchmarkFlush: rows that are written behind, against the best bare multi-row statements for the same rows: as
// scattered over the table as entities that have changed are. Budget: 0.7 of it where the store has CPUs of its own. In
// order are rows that follow each other by their keys. Drained is without the senders of the changes.
func BenchmarkFlush(b *testing.B) {
	b.Run("store apart", func(b *testing.B) { benchmarkFlush(b, (*plant).apart) })
	b.Run("one machine", func(b *testing.B) { benchmarkFlush(b, func(*plant) {}) })
}

func benchmarkFlush(b *testing.B, arrange func(*plant)) {
	const rows = 20_480
	p := newPlant(b, rows)
	arrange(p)
	p.flush()
	p.write(rows, 2, 1, 0)
	var bare, ordered, flush, drain effort
	version := 0
	for range rounds * b.N {
		for _, writers := range []int{1, 2, 4} {
			for stride, of := range map[int]*effort{1: &ordered, 7919: &bare} {
				version++ // a row that stays the same costs the server half
				of.take(p, rows, func(begin func()) {
					begin()
					p.write(rows, writers, stride, version)
				})
			}
		}
		for range 3 { // as often as the others
			flush.take(p, rows, func(begin func()) {
				begin()
				p.flush()
			})
			drain.take(p, rows, p.drain)
		}
	}
	bare.report(b, "bare", &bare)
	ordered.report(b, "ordered", &bare)
	drain.report(b, "drained", &bare)
	flush.report(b, "flushed", &bare)
}

// BenchmarkCommit: commits of 64 entities at once, against single-row statements, one after the other and 64 at once.
// Budget: ten times the former where the store has CPUs of its own.
func BenchmarkCommit(b *testing.B) {
	b.Run("store apart", func(b *testing.B) { benchmarkCommit(b, (*plant).apart) })
	b.Run("one machine", func(b *testing.B) { benchmarkCommit(b, func(*plant) {}) })
}

func benchmarkCommit(b *testing.B, arrange func(*plant)) {
	const committers, each = 64, 50
	p := newPlant(b, committers)
	arrange(p)
	single, err := p.bare.Prepare("INSERT INTO bare (id, part, shard, epoch, version, data, updated_at)" +
		" VALUES (?, '', 1, 1, ?, ?, 1) ON DUPLICATE KEY UPDATE version = VALUES(version), data = VALUES(data)")
	if err != nil {
		b.Fatal(err)
	}
	defer single.Close()
	bare := func(writers, each int) func(func()) {
		return func(begin func()) {
			begin()
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					for i := range each {
						if _, err := single.Exec(fmt.Sprint("hero-", w), i, rowText); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		}
	}
	var ours, one, many effort
	before := p.archive.Report()
	for range rounds * b.N {
		one.take(p, 10*each, bare(1, 10*each))
		many.take(p, committers*each, bare(committers, each))
		ours.take(p, committers*each, func(begin func()) {
			begin()
			var all sync.WaitGroup
			for id, h := range p.held {
				all.Go(func() {
					for range each {
						h.version++
						if err := saveNow(p.client, hero.Ref(id), actors.Change{Version: h.version, Fence: h.fence,
							Commit: true, Cells: []byte(rowText)}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
	after := p.archive.Report()
	written, statements := after.Written-before.Written, after.Statements-before.Statements
	b.ReportMetric(float64(written)/float64(statements), "commits/statement")
	one.report(b, "single", &one)
	many.report(b, "64-single", &one)
	ours.report(b, "commit", &one)
}

// BenchmarkActivation: how long a load takes, one at a time, from the store and from the cache.
func BenchmarkActivation(b *testing.B) {
	const entities = 4000
	p := newPlant(b, entities)
	p.flush()
	again := p.town.node("again", gameB, p.town.db, persist.Limits{CacheBytes: 256 << 20}) // knows nothing yet
	for shard := range townShards {
		again.keep(shard, 1)
		again.asks(shard, again)
	}
	for i := range 8 * townShards { // claim all shards
		if _, err := loadNow(again.client, hero.Ref(fmt.Sprint("first-", i))); err != nil {
			b.Fatal(err)
		}
	}
	for _, from := range []string{"store", "cache"} {
		took := make([]time.Duration, 0, entities)
		for id := range p.held {
			begin := time.Now()
			if _, err := loadNow(again.client, hero.Ref(id)); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		for name, at := range map[string]int{"p50": entities / 2, "p90": entities * 9 / 10, "p99": entities * 99 / 100,
			"max": entities - 1} {
			b.ReportMetric(float64(took[at].Microseconds()), from+"-"+name+"-us")
		}
	}
	if r := again.archive.Report(); r.Hits < entities*95/100 {
		b.Errorf("only %d of %d loads came from the cache", r.Hits, entities)
	}
}

// heap is what lives.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkMemory: what an entity of one row of 200 bytes costs a keeper, in its cache and while it is not durable.
func BenchmarkMemory(b *testing.B) {
	const entities = 100_000
	db, err := persist.OpenSQLite(filepath.Join(b.TempDir(), "firefly.db"))
	if err != nil {
		b.Fatal(err)
	}
	gate := &moody{Database: db}
	t := newTown(b, gate)
	n := t.node("alone", gameA, gate, persist.Limits{CacheBytes: 256 << 20, Waiting: entities})
	for shard := range townShards {
		n.keep(shard, 1)
		n.asks(shard, n)
	}
	for range b.N {
		fences := make(map[int]uint64)
		before := heap()
		for i := range entities {
			s, err := loadNow(n.client, hero.Ref(fmt.Sprintf("hero-%06d", i)))
			if err != nil {
				b.Fatal(err)
			}
			fences[tenureOf(hero.Ref(fmt.Sprintf("hero-%06d", i))).Shard] = s.Fence
		}
		cached := heap()
		b.ReportMetric(float64(cached-before)/entities, "B/empty-cached")
		var down atomic.Bool
		down.Store(true)
		gate.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			if down.Load() {
				return nil, fmt.Errorf("benchmark: %w", persist.ErrDown)
			}
			return write()
		}
		var told sync.WaitGroup
		for i := range entities {
			ref := hero.Ref(fmt.Sprintf("hero-%06d", i))
			told.Add(1)
			n.client.Save(ref, tenureOf(ref), actors.Change{Version: 1, Fence: fences[tenureOf(ref).Shard],
				Cells: []byte(rowText)}, func(error) { told.Done() })
		}
		told.Wait() // nobody waits any more; what is left is what the keeper holds
		if r := n.archive.Report(); r.Rows != entities {
			b.Fatalf("%d rows are pending", r.Rows)
		}
		pending := heap()
		b.ReportMetric(float64(pending-cached)/entities, "B/pending")
		down.Store(false)
		until(b, "all to be durable", func() bool { return n.archive.Report().Rows == 0 })
		b.ReportMetric(float64(heap()-before)/entities, "B/cached")
		r := n.archive.Report()
		b.ReportMetric(float64(r.Kept), "kept")
	}
}
