package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/record"
)

// replaying is what the verb replay was told.
type replaying struct {
	actor    string
	json     bool
	test     bool
	into     string // the package that the test is for
	app      string // its variable
	against  string
	shrink   string
	outcomes bool
}

func (t *tool) replayCommand() *cobra.Command {
	var o replaying
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Step through a recording with this build's behaviours; or make a test of it, or compare builds",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return t.replay(args[0], o) },
	}
	c.Flags().StringVar(&o.actor, "actor", "", "of the actors in it, this one (player/42) only")
	c.Flags().BoolVar(&o.json, "json", false, "one JSON object for each answer; commands are lines of the input")
	c.Flags().BoolVar(&o.test, "test", false, "write a Go test that plays it, beside a copy")
	c.Flags().StringVar(&o.into, "into", "", "the folder of the package for the test; default: the main package's")
	c.Flags().StringVar(&o.app, "app", "App", "the variable of that package which is the game")
	c.Flags().StringVar(&o.against, "against", "", "another build's binary: name the first step in which the two part")
	c.Flags().StringVar(&o.shrink, "shrink", "", "write a shorter recording that still differs or panics to this file")
	c.Flags().BoolVar(&o.outcomes, "outcomes", false, "say what this build does in each step, one JSON object a line")
	return c
}

// errDiverged means that two builds do not do the same.
var errDiverged = errors.New("cli: the builds part")

// replay plays a recording with the behaviours of this build.
func (t *tool) replay(file string, o replaying) error {
	r, err := t.recording(file)
	if err != nil {
		return err
	}
	if o.actor != "" {
		ref, err := actors.ParseRef(o.actor)
		if err != nil {
			return misuse{err}
		}
		if r = r.Extract(ref); len(r.Actors()) == 0 {
			return misuse{fmt.Errorf("%s is not in %s", ref, file)}
		}
	}
	switch {
	case o.shrink != "":
		short, err := replay.Shrink(t.blueprint.App, r)
		if err != nil {
			return err
		}
		if err := short.Write(o.shrink); err != nil {
			return err
		}
		fmt.Fprintf(t.out, "%d of %d steps are left in %s\n", short.Steps(), r.Steps(), o.shrink)
		return nil
	case o.test:
		return t.writeTest(r, file, o)
	case o.against != "":
		return t.compareBuilds(r, file, o)
	}
	d, err := replay.NewDebugger(t.blueprint, r, t.out, o.json || o.outcomes)
	if err != nil {
		return err
	}
	if o.outcomes {
		return d.Outcomes()
	}
	return t.debug(d, o.json)
}

// recording reads a file. What is wrong with it is said; what is good of it is played.
func (t *tool) recording(file string) (*record.Recording, error) {
	r, err := record.Read(file)
	damage := (*record.Damage)(nil)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, misuse{fmt.Errorf("there is no recording %s", file)}
	case errors.As(err, &damage) && r != nil:
		if !damage.Open {
			fmt.Fprintf(t.err, "%v; what is good of it is played\n", damage)
		}
	case err != nil:
		return nil, err
	}
	if len(r.Actors()) == 0 {
		return nil, fmt.Errorf("cli: nobody in %s can be played: no actor's beginning is in it", file)
	}
	return r, nil
}

// debug reads commands until there are no more. On a terminal it asks for them.
func (t *tool) debug(d *replay.Debugger, asJSON bool) error {
	asks := t.in == os.Stdin && term.IsTerminal(int(os.Stdin.Fd())) && !asJSON
	if err := d.Do("actors"); err != nil {
		return err
	}
	in := bufio.NewScanner(t.in)
	for {
		if asks {
			fmt.Fprint(t.out, "> ")
		}
		if !in.Scan() {
			return in.Err()
		}
		err := d.Do(in.Text())
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && asJSON:
			writeJSON(t.out, map[string]string{"error": err.Error()})
		case err != nil:
			fmt.Fprintln(t.out, err)
		}
	}
}

// An outcome is what a build makes of one step.
type outcome struct {
	Actor   string   `json:"actor"`
	Step    int      `json:"step"`
	Input   string   `json:"input"`
	Outcome []string `json:"outcome"`
}

// compareBuilds plays the recording with this build and with another, and names the first step in which they part.
func (t *tool) compareBuilds(r *record.Recording, file string, o replaying) error {
	var text bytes.Buffer
	d, err := replay.NewDebugger(t.blueprint, r, &text, true)
	if err != nil {
		return err
	}
	if err := d.Outcomes(); err != nil {
		return err
	}
	ours, err := outcomes(&text)
	if err != nil {
		return err
	}
	args := []string{"replay", file, "--outcomes"}
	if o.actor != "" {
		args = append(args, "--actor", o.actor)
	}
	other := exec.Command(o.against, args...)
	other.Stderr = t.err
	told, err := other.Output()
	if err != nil {
		return fmt.Errorf("cli: %s cannot play %s: %w", o.against, file, err)
	}
	theirs, err := outcomes(bytes.NewReader(told))
	if err != nil {
		return err
	}
	for i := range max(len(ours), len(theirs)) {
		if i >= len(ours) || i >= len(theirs) {
			return fmt.Errorf("%w: one plays %d steps, the other %d", errDiverged, len(ours), len(theirs))
		}
		if a, b := ours[i], theirs[i]; a.Actor != b.Actor || a.Step != b.Step || !slices.Equal(a.Outcome, b.Outcome) {
			t.showParting(a, b, o)
			return fmt.Errorf("%w at %s, step %d", errDiverged, a.Actor, a.Step)
		}
	}
	fmt.Fprintf(t.out, "both builds do the same in %d steps\n", len(ours))
	return nil
}

func (t *tool) showParting(ours, theirs outcome, o replaying) {
	if o.json {
		writeJSON(t.out, map[string]outcome{"this": ours, "other": theirs})
		return
	}
	fmt.Fprintf(t.out, "%s, step %d <- %s\n", ours.Actor, ours.Step, ours.Input)
	for _, l := range ours.Outcome {
		fmt.Fprintf(t.out, "  this   %s\n", l)
	}
	for _, l := range theirs.Outcome {
		fmt.Fprintf(t.out, "  other  %s\n", l)
	}
}

func outcomes(from io.Reader) (all []outcome, err error) {
	for d := json.NewDecoder(from); ; {
		var o outcome
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("cli: reading what a build did: %w", err)
		}
		all = append(all, o)
	}
}
