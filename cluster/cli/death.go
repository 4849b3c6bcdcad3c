package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fireflyrt/firefly/cluster/node"
)

// A death is noted in a file beside the run files until the registry knows of it. Without the note,
// a supervisor that dies right after its nodes would take their incarnations with it, and the next
// start would wait for their leases.

// deathNote is the file that notes a process's death.
func deathNote(dir string, dead node.Running) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%x.dead", dead.Name, dead.Incarnation))
}

// noteDeath writes the note. Without it only time is lost, so it may fail.
func noteDeath(dir string, dead node.Running) (file string) {
	file = deathNote(dir, dead)
	if text, err := json.Marshal(dead); err == nil {
		os.WriteFile(file, text, 0o600) //nolint:errcheck // see above
	}
	return file
}

// uncertified reads the notes that an earlier supervisor left, whatever of them can be read.
func uncertified(dir string) []node.Running {
	files, _ := filepath.Glob(filepath.Join(dir, "*.dead")) // an error is one of the pattern
	var all []node.Running
	for _, file := range files {
		var dead node.Running
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &dead)
		}
		if err != nil || deathNote(dir, dead) != file {
			os.Remove(file) //nolint:errcheck // a crash has left half of it
			continue
		}
		all = append(all, dead)
	}
	return all
}
