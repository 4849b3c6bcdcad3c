package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fireflyrt/firefly/cluster/contract"
)

func (t *tool) genCommand(config *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "gen",
		Short: "Write down the messages: for clients in TypeScript (ts) or C# (cs), and to keep their numbers (lock)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return errors.Join(misuse{errors.New("gen what? ts, cs or lock")}, c.Usage())
		},
	}
	c.AddCommand(t.genScript(), t.genSharp(), t.genLock(config))
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

func (t *tool) genScript() *cobra.Command {
	var file, from string
	c := &cobra.Command{
		Use:   "ts [-o message.ts] [--client ./firefly.js]",
		Short: "Interfaces and numbers in TypeScript; or numbers in a .js, and the interfaces in a .d.ts beside it",
		RunE: func(*cobra.Command, []string) error {
			c, err := t.contract()
			if err != nil {
				return err
			}
			stem, plain := strings.CutSuffix(file, ".js")
			if !plain {
				return t.write(file, c.TypeScript(contract.Module, from))
			}
			return errors.Join(t.write(file, c.TypeScript(contract.JavaScript, from)),
				t.write(stem+".d.ts", c.TypeScript(contract.Declarations, from)))
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "the file to write; none: to the standard output")
	c.Flags().StringVar(&from, "client", "./firefly.js", "the module of the client, as an import names it")
	return c
}

func (t *tool) genSharp() *cobra.Command {
	var file, namespace string
	c := &cobra.Command{
		Use:   "cs [-o Messages.cs] [--namespace Meadow]",
		Short: "Classes for System.Text.Json and numbers in C#",
		RunE: func(*cobra.Command, []string) error {
			c, err := t.contract()
			if err != nil {
				return err
			}
			return t.write(file, c.CSharp(namespace))
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "the file to write; none: to the standard output")
	c.Flags().StringVar(&namespace, "namespace", "", "of the classes; none: it is called after the app")
	return c
}

func (t *tool) genLock(config *string) *cobra.Command {
	var file string
	var accepted []uint
	c := &cobra.Command{
		Use:   "lock [--accept 5103,5104] [--lock FILE]",
		Short: "Keep what the numbers mean in messages.lock beside the configuration, for check to compare with",
		RunE: func(*cobra.Command, []string) error {
			return t.renewLock(lockOf(*config, file), accepted)
		},
	}
	c.Flags().StringVar(&file, "lock", "", "the file; none: messages.lock beside the configuration")
	c.Flags().UintSliceVar(&accepted, "accept", nil,
		"numbers that may change in ways that hurt clients out there, or be retired for ever")
	return c
}

// contract reads what the game and its clients have agreed on.
func (t *tool) contract() (*contract.Contract, error) {
	c, err := contract.Of(t.app, t.catalogue, t.replies)
	if err != nil {
		return nil, misuse{err}
	}
	return c, nil
}

// write writes a generated file, or prints it if there is no name.
func (t *tool) write(file string, text []byte) error {
	if file == "" {
		_, err := t.out.Write(text)
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // it is source, for everybody
		return fmt.Errorf("cli: writing what was generated: %w", err)
	}
	return nil
}
