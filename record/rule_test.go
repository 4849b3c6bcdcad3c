package record_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/record"
)

func TestRulesThatAreChangedAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var changes sync.WaitGroup
	for i := range 20 {
		changes.Go(func() {
			_, err := record.EditRules(dir, func(r record.Rules) (record.Rules, error) {
				return r.With(record.Rule{Actor: fmt.Sprintf("player/%d", i)}), nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	changes.Wait()
	if rules, err := record.ReadRules(dir); err != nil || len(rules) != 20 {
		t.Errorf("%d rules, %v", len(rules), err)
	}
	no := errors.New("no")
	_, err := record.EditRules(dir, func(record.Rules) (record.Rules, error) { return nil, no })
	if !errors.Is(err, no) {
		t.Errorf("error: %v", err)
	}
	if rules, err := record.ReadRules(dir); err != nil || len(rules) != 20 {
		t.Errorf("a change that was refused left %d rules, %v", len(rules), err)
	}
}

func TestRulesAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var rules record.Rules
	for i := range 1000 {
		rules = append(rules, record.Rule{Actor: fmt.Sprintf("player/%d", i)})
	}
	if err := rules.Write(dir); err != nil {
		t.Fatal(err)
	}
	if err := append(rules, record.Rule{All: true}).Write(dir); err == nil || !strings.Contains(err.Error(), "1000") {
		t.Errorf("a thousand and one: %v", err)
	}
	if back, err := record.ReadRules(dir); err != nil || len(back) != 1000 {
		t.Errorf("%d rules, %v", len(back), err)
	}
}
