package hotreload

import (
	"strings"
	"testing"
)

func TestAnEditionIsMadeAgainFromItsFiles(t *testing.T) {
	t.Parallel()
	table := prices()
	set, err := opened(map[string]string{"prices.csv": "item,gold,is_rare,wait\nsword,7,true,1s\n"}, table)
	if err != nil {
		t.Fatal(err)
	}
	first := set.Current()
	again, err := FromFiles([]Declared{table}, first.Files())
	if err != nil {
		t.Fatal(err)
	}
	if row, ok := table.Find(again, "sword"); !ok || row.Gold != 7 {
		t.Errorf("row %+v, %v", row, ok)
	}
	if again.Hash() != first.Hash() || len(first.Hash()) != 64 || !strings.HasPrefix(first.Hash(), first.Version()) {
		t.Errorf("hashes %s and %s, version %s", first.Hash(), again.Hash(), first.Version())
	}
	dearer := map[string][]byte{"prices.csv": []byte("item,gold,is_rare,wait\nsword,8,,\n")}
	other, err := FromFiles([]Declared{table}, dearer)
	if err != nil || other.Hash() == first.Hash() {
		t.Errorf("other contents have the same hash (%v)", err)
	}
}

func TestFilesThatDoNotFitTheTablesOfTodaySaySo(t *testing.T) {
	t.Parallel()
	_, err := FromFiles([]Declared{prices()}, nil)
	if err == nil || !strings.Contains(err.Error(), "(recorded)/prices.csv:1:1: the file is not there") {
		t.Errorf("error: %v", err)
	}
	_, err = FromFiles([]Declared{prices()}, map[string][]byte{"prices.csv": []byte("item,gold\nsword,-1\n")})
	if err == nil || !strings.Contains(err.Error(), "no price is below zero") {
		t.Errorf("error: %v", err)
	}
}
