package hotreload

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// MaxFile bounds one table file, in bytes.
const MaxFile = 16 << 20

// A Digest is the checksum of everything that a Set reads.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:6]) }

// A source is where the files of a Set lie: a directory, or what was built into the binary.
type source struct {
	dir   string // how a fault names the place
	files fs.FS
	names []string
	live  bool // may change while the process runs
}

// A snapshot is what all files held when they were read, one after the other.
type snapshot struct {
	files  []file
	digest Digest
	open   bool // a file does not end with the end of a line: its writer may not have finished
}

type file struct {
	content    []byte
	unread, do string // why it could not be read, and what to do about it
}

// openSource takes the directory if there is one, else the fallback.
func openSource(dir string, fallback fs.FS, names []string) (source, error) {
	at, err := os.Stat(dir)
	switch {
	case dir != "" && err == nil && at.IsDir():
		return source{dir: dir, files: os.DirFS(dir), names: names, live: true}, nil
	case dir != "" && err == nil:
		return source{}, fmt.Errorf("hotreload: %s is not a directory", dir)
	case dir != "" && !errors.Is(err, fs.ErrNotExist):
		return source{}, fmt.Errorf("hotreload: %w", err)
	case fallback != nil:
		return source{dir: "(built in)", files: fallback, names: names}, nil
	case len(names) == 0:
		return source{}, nil
	}
	const why = "hotreload: no directory %q and no tables built in; start where it is"
	return source{}, fmt.Errorf(why, dir)
}

// read takes all files. An unreadable one is part of the snapshot: it, too, must last before it is
// believed.
func (s source) read() snapshot { return snapshotOf(s.names, s.readFile) }

func snapshotOf(names []string, read func(name string) file) snapshot {
	seen := snapshot{files: make([]file, len(names))}
	sum := sha256.New()
	for i, name := range names {
		f := read(name)
		seen.files[i] = f
		seen.open = seen.open || f.unread == "" && !endsLine(f.content)
		for _, part := range []string{name, f.unread, string(f.content)} {
			sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			io.WriteString(sum, part)
		}
	}
	sum.Sum(seen.digest[:0])
	return seen
}

func (s source) readFile(name string) file {
	f, err := s.files.Open(name)
	if err != nil {
		return unread(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(content) > MaxFile {
		what := fmt.Sprintf("the file is larger than %d MiB", MaxFile>>20)
		return file{unread: what, do: "split it"}
	}
	if err != nil {
		return unread(err)
	}
	return file{content: content}
}

// unread leaves the path out of the error: the fault names the file already.
func unread(err error) file {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = at.Err
	}
	return file{unread: err.Error(), do: "put a readable file there"}
}

func endsLine(content []byte) bool {
	return len(content) > 0 && content[len(content)-1] == '\n'
}

// stamp is cheap to take and differs when a file was probably written.
func (s source) stamp() string {
	var b strings.Builder
	for _, name := range s.names {
		if at, err := fs.Stat(s.files, name); err == nil {
			fmt.Fprintln(&b, at.Size(), at.ModTime().UnixNano(), at.Mode())
		} else {
			fmt.Fprintln(&b, "absent")
		}
	}
	return b.String()
}

// directories are what has to be watched: editors save by renaming, so watching files would lose
// them.
func (s source) directories() []string {
	var found []string
	for _, name := range s.names {
		if d := path.Join(s.dir, path.Dir(name)); !slices.Contains(found, d) {
			found = append(found, d)
		}
	}
	return found
}
