package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/record"
)

// tellWithin is how long a node may take to read the rules.
const tellWithin = 5 * time.Second

// A Recorded is what `record list` prints.
type Recorded struct {
	Rules record.Rules    `json:"rules"`
	Nodes []RecordingNode `json:"nodes"`
	Files []RecordingFile `json:"files"`
}

// A RecordingNode is what a running node's recorder counts.
type RecordingNode struct {
	Node    string           `json:"node"`
	Counts  map[string]int64 `json:"counts,omitempty"`
	Trouble string           `json:"trouble,omitempty"`
}

// A RecordingFile is one file of this machine's.
type RecordingFile struct {
	Name  string    `json:"name"`
	Bytes int64     `json:"bytes"`
	At    time.Time `json:"at"`
}

func (t *tool) recordCommand(config *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "record",
		Short: "Record what actors do, into files that `replay` and tests do again: start, stop, list, get",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return errors.Join(misuse{errors.New("record what? start, stop, list or get")}, c.Usage())
		},
	}
	c.AddCommand(t.recordStart(config), t.recordStop(config), t.recordList(config), t.recordGet(config))
	for _, sub := range c.Commands() {
		sub.DisableFlagsInUseLine = true
		sub.Args = func(c *cobra.Command, given []string) error {
			if len(given) > 0 {
				return misuse{fmt.Errorf("what is %s? it is used as: %s", given[0], c.UseLine())}
			}
			return nil
		}
	}
	return c
}

// ruleFlags are how a rule is named on the command line.
func ruleFlags(c *cobra.Command) *record.Rule {
	r := new(record.Rule)
	c.Flags().StringVar(&r.Actor, "actor", "", "one actor, as kind/id")
	c.Flags().StringVar(&r.Kind, "kind", "", "the actors of a kind, or with --share so many of them")
	c.Flags().StringVar(&r.Session, "session", "", "the actor that a session is logged in as")
	c.Flags().Float64Var(&r.Share, "share", 0, "a share of the sessions, 0.01 is one in a hundred")
	c.Flags().BoolVar(&r.All, "all", false, "everybody")
	return r
}

func (t *tool) recordStart(config *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "start --actor KIND/ID | --kind KIND [--share 0.1] | --session ID | --share 0.01 | --all",
		Short: "Record from now on, on all nodes of this machine, also those that start later",
	}
	rule, json := ruleFlags(c), c.Flags().Bool("json", false, "the rules as one JSON list")
	c.RunE = func(*cobra.Command, []string) error {
		return t.changeRules(*config, *json, *rule, func(rules record.Rules) (record.Rules, error) {
			return rules.With(*rule), nil
		})
	}
	return c
}

func (t *tool) recordStop(config *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "stop --actor KIND/ID | --kind KIND | --session ID | --share 0.01 | --all",
		Short: "Take a rule of start back; the recordings stay; 1 if there is none like it",
	}
	rule, json := ruleFlags(c), c.Flags().Bool("json", false, "the rules that are left as one JSON list")
	c.RunE = func(*cobra.Command, []string) error {
		return t.changeRules(*config, *json, *rule, func(rules record.Rules) (record.Rules, error) {
			left, was := rules.Without(*rule)
			if !was {
				return nil, fmt.Errorf("cli: no rule says %s; record list shows them", *rule)
			}
			return left, nil
		})
	}
	return c
}

// changeRules changes the rules' file and tells the nodes that run here. One that cannot be told is an error: it
// follows the old rules until it starts again.
func (t *tool) changeRules(config string, asJSON bool, rule record.Rule,
	edit func(record.Rules) (record.Rules, error),
) error {
	if err := rule.Check(); err != nil {
		return misuse{err}
	}
	c, err := t.load(config)
	if err != nil {
		return err
	}
	rules, err := record.EditRules(c.RecordDir(), edit)
	if err != nil {
		return err
	}
	told, err := tell(c)
	if asJSON {
		writeJSON(t.out, append(record.Rules{}, rules...))
	} else {
		fmt.Fprintf(t.out, "%d rules; %d nodes follow them, and those that start later will\n", len(rules), told)
	}
	return err
}

// tell has all nodes that run here read the rules, and counts them.
func tell(c *node.Config) (told int, err error) {
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
	defer cancel()
	for _, r := range found {
		if !r.Alive() {
			continue
		}
		if failed := r.Record(ctx); failed != nil {
			err = errors.Join(err, failed)
		} else {
			told++
		}
	}
	return told, err
}

func (t *tool) recordList(config *string) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "Show the rules, the files, and what nodes could not keep"}
	json := c.Flags().Bool("json", false, "as one JSON object")
	c.RunE = func(*cobra.Command, []string) error {
		c, err := t.load(*config)
		if err != nil {
			return err
		}
		all, err := listed(c)
		if err != nil {
			return err
		}
		if *json {
			writeJSON(t.out, all)
		} else {
			all.print(t)
		}
		return nil
	}
	return c
}

func listed(c *node.Config) (*Recorded, error) {
	rules, err := record.ReadRules(c.RecordDir())
	if err != nil {
		return nil, err
	}
	all := &Recorded{Rules: append(record.Rules{}, rules...), Nodes: []RecordingNode{}, Files: []RecordingFile{}}
	names, err := recordings(c)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if at, err := os.Stat(name); err == nil { // else it was deleted meanwhile, to make room
			all.Files = append(all.Files, RecordingFile{name, at.Size(), at.ModTime()})
		}
	}
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
	defer cancel()
	for _, r := range found {
		var said struct {
			Record map[string]int64 `json:"record"`
		}
		if !r.Alive() {
			continue
		}
		n := RecordingNode{Node: r.Name}
		if err := r.Report(ctx, &said); err != nil {
			n.Trouble = err.Error()
		}
		n.Counts = said.Record
		all.Nodes = append(all.Nodes, n)
	}
	return all, nil
}

func (r *Recorded) print(t *tool) {
	for _, rule := range r.Rules {
		fmt.Fprintf(t.out, "rule   %s\n", rule)
	}
	for _, n := range r.Nodes {
		if n.Trouble != "" {
			fmt.Fprintf(t.out, "node   %s: %s\n", n.Node, n.Trouble)
			continue
		}
		fmt.Fprintf(t.out, "node   %s: records %d actors; %d steps kept, %d dropped in %d gaps; %d panics written\n",
			n.Node, n.Counts["streams"], n.Counts["steps_total"], n.Counts["dropped_total"], n.Counts["gaps_total"],
			n.Counts["panics_written_total"])
	}
	for _, f := range r.Files {
		fmt.Fprintf(t.out, "file   %s  %s  %d bytes\n", f.Name, f.At.Format(time.DateTime), f.Bytes)
	}
	if len(r.Rules)+len(r.Nodes)+len(r.Files) == 0 {
		fmt.Fprintln(t.out, "nobody is recorded, and no node runs")
	}
}

// recordings are all files of this machine's nodes, those of panics too.
func recordings(c *node.Config) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(c.RecordDir(), "*.rec"))
	if err != nil {
		return nil, fmt.Errorf("cli: listing the recordings: %w", err)
	}
	return names, nil
}

// A Gotten is what `record get` prints.
type Gotten struct {
	File     string `json:"file"`
	Actor    string `json:"actor"`
	Segments int    `json:"segments"`
	Steps    int    `json:"steps"`
	// Damaged are files that were read as far as they are good, and nodes that told nothing.
	Damaged []string `json:"damaged,omitempty"`
}

func (t *tool) recordGet(config *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "get --actor KIND/ID -o FILE.rec",
		Short: "Take one actor out of this machine's recordings and its nodes' flight recorders; 1 if there is none",
	}
	actor := c.Flags().String("actor", "", "the actor, as kind/id")
	file := c.Flags().StringP("output", "o", "", "the file to write")
	json := c.Flags().Bool("json", false, "what was written as one JSON object")
	c.RunE = func(*cobra.Command, []string) error {
		ref, err := actors.ParseRef(*actor)
		if err != nil || !strings.HasSuffix(*file, ".rec") {
			return misuse{errors.New("say whom and where to: record get --actor player/ann -o ann.rec")}
		}
		c, err := t.load(*config)
		if err != nil {
			return err
		}
		got, err := get(c, ref, *file)
		if err != nil {
			return err
		}
		for _, text := range got.Damaged {
			fmt.Fprintln(t.err, text)
		}
		if *json {
			writeJSON(t.out, got)
		} else {
			fmt.Fprintf(t.out, "%s: %d steps of %s in %d segments\n", got.File, got.Steps, got.Actor, got.Segments)
		}
		return nil
	}
	return c
}

// take has the nodes that run here write what their flight recorders have of an actor; one that cannot is named.
func take(c *node.Config, ref actors.Ref) (trouble []string, err error) {
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
	defer cancel()
	for _, r := range found {
		if !r.Alive() {
			continue
		}
		if _, err := r.Take(ctx, ref); err != nil {
			trouble = append(trouble, err.Error())
		}
	}
	return trouble, nil
}

// get merges what all files hold of an actor. A file that is damaged counts as far as it can be read; one that its node
// still writes, or wrote when it died, is not damaged.
func get(c *node.Config, ref actors.Ref, file string) (*Gotten, error) {
	trouble, err := take(c, ref)
	if err != nil {
		return nil, err
	}
	names, err := recordings(c)
	if err != nil {
		return nil, err
	}
	got := &Gotten{File: file, Actor: ref.String(), Damaged: trouble}
	var parts []*record.Recording
	for _, name := range names {
		r, err := record.Read(name)
		damage := (*record.Damage)(nil)
		if err != nil && (!errors.As(err, &damage) || !damage.Open) {
			got.Damaged = append(got.Damaged, err.Error())
		}
		if r != nil {
			parts = append(parts, r.Extract(ref))
		}
	}
	all := record.Merge(parts...)
	a := all.Actor(ref)
	if a == nil {
		return nil, fmt.Errorf("cli: no recording of %s in %s; record list shows what there is", ref, c.RecordDir())
	}
	got.Segments, got.Steps = len(a.Segments), all.Steps()
	return got, all.Write(file)
}
