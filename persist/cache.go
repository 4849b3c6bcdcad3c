package persist

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/fireflyrt/firefly/actors"
)

// cacheItemsPer is for how many bytes of room the cache counts one key's popularity.
const cacheItemsPer = 200

// imageOverhead is what an image costs besides its bytes, and so does each of its parts.
const imageOverhead = 128

// An image is an entity as the store has it. It belongs to the keeper of its shard.
type image struct {
	version uint64
	cells   json.RawMessage
	box     json.RawMessage
	parts   map[string]json.RawMessage
	bytes   int64
	weighed int64 // bytes when it was last Set; 0: it never was
}

func newImage(stored []Part) *image {
	m := &image{parts: make(map[string]json.RawMessage, len(stored)), bytes: imageOverhead}
	m.apply(stored)
	return m
}

// apply brings the image up to what was written since.
func (m *image) apply(parts []Part) {
	for _, p := range parts {
		if p.Name == "" {
			m.bytes += int64(len(p.Data) + len(p.Box) - len(m.cells) - len(m.box))
			m.version, m.cells, m.box = p.Version, p.Data, p.Box
			continue
		}
		if old, ok := m.parts[p.Name]; ok {
			m.bytes -= int64(len(p.Name)+len(old)) + imageOverhead
			delete(m.parts, p.Name)
		}
		if p.Data != nil {
			m.bytes += int64(len(p.Name)+len(p.Data)) + imageOverhead
			m.parts[p.Name] = p.Data
		}
	}
}

// A cache holds images that anything may be dropped from at any time. Two things about ristretto
// shape it: a Get right after a Set misses, and a second Set of a key before the first is admitted
// keeps the first value, though both report success. So a key is Set once, its image is held here
// until ristretto has come to it, and what changes meanwhile changes the image in place.
// It is Set again only when it weighs an eighth more or less, for that costs more than all else of a confirmation: the
// cache may hold an eighth more than it has room for.
//
// A nil cache holds nothing.
type cache struct {
	kept     *ristretto.Cache[string, *image]
	work     *backlog
	counters *counters

	mu       sync.Mutex
	settling map[string]*image // Set, but not known to be admitted or rejected
	running  bool
}

// newCache makes one with room for so many bytes; none for 0.
func newCache(bytes int64, work *backlog, c *counters) (*cache, error) {
	if bytes == 0 {
		return nil, nil
	}
	kept, err := ristretto.NewCache(&ristretto.Config[string, *image]{
		NumCounters:        max(bytes/cacheItemsPer, 100),
		MaxCost:            bytes,
		BufferItems:        64,
		IgnoreInternalCost: true,
		OnEvict: func(i *ristretto.Item[*image]) {
			if i.Value != nil { // ristretto names some of them twice: the second time there is nothing
				c.evicts.Add(1)
			}
		},
		OnReject: func(*ristretto.Item[*image]) { c.rejected.Add(1) },
	})
	if err != nil {
		return nil, fmt.Errorf("persist: make the cache: %w", err)
	}
	return &cache{kept: kept, work: work, counters: c,
		settling: make(map[string]*image)}, nil
}

// cacheKey contains the keeper's number: what a keeper knew before it was overtaken is not asked
// for again.
func cacheKey(ref actors.Ref, keeper uint64) string {
	return strconv.FormatUint(keeper, 36) + "/" + ref.String()
}

// get returns the image that was last put, if it is still there.
func (c *cache) get(key string) (*image, bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	m, ok := c.settling[key]
	c.mu.Unlock()
	if ok {
		return m, true
	}
	return c.kept.Get(key)
}

// put gives an image to the cache: a new one, or one that get returned and that changed since.
func (c *cache) put(key string, m *image) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.settling[key]; ok {
		return // changed in place
	}
	if change := m.bytes - m.weighed; m.weighed > 0 && -m.weighed/8 <= change && change <= m.weighed/8 {
		return
	}
	if !c.kept.Set(key, m, m.bytes) {
		c.counters.dropped.Add(1)
		return
	}
	m.weighed = m.bytes
	c.counters.kept.Add(1)
	c.settling[key] = m
	if !c.running {
		c.running = true
		c.work.offload(c.settle)
	}
}

// settle lets go of the images that ristretto has come to.
func (c *cache) settle() {
	c.mu.Lock()
	keys := make([]string, 0, len(c.settling))
	for key := range c.settling {
		keys = append(keys, key)
	}
	c.mu.Unlock()
	c.kept.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		delete(c.settling, key)
	}
	if c.running = len(c.settling) > 0; c.running {
		c.work.offload(c.settle)
	}
}

// close ends the cache; nothing may be offloaded for it any more.
func (c *cache) close() {
	if c != nil {
		c.kept.Close()
	}
}
