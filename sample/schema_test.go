package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// asked finds what docs/schema.md lets an operator ask.
var asked = regexp.MustCompile("(?s)```sql\n(.*?)```")

// listed finds the tables and columns that it names.
var listed = regexp.MustCompile("(?m)^\\| (`[A-Za-z_`, ]+`) \\|")

func TestWhatThePageLetsAnOperatorAskIsAnswered(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	app, err := App.Build()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(t *testing.T, driver, source string, open func(string) (persist.Database, error)) {
		db, err := open(source)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Migrate(t.Context(), app.Schema(8)); err != nil {
			t.Fatal(err)
		}
		operator, err := sql.Open(driver, source)
		if err != nil {
			t.Fatal(err)
		}
		defer operator.Close()
		questions := 0
		for _, block := range asked.FindAllStringSubmatch(string(page), -1) {
			for _, question := range strings.Split(strings.TrimSpace(block[1]), ";\n") {
				rows, err := operator.QueryContext(t.Context(), strings.TrimSuffix(question, ";"))
				if err != nil {
					t.Errorf("%s: %v", question, err)
					continue
				}
				rows.Close()
				questions++
			}
		}
		for _, row := range listed.FindAllStringSubmatch(string(page), -1) {
			question := "SELECT " + strings.ReplaceAll(row[1], "`", "") + " FROM state_player"
			if strings.HasPrefix(row[1], "`firefly_") {
				question = "SELECT * FROM " + strings.Trim(row[1], "`")
			}
			if strings.Contains(row[1], "migration") || strings.ToLower(row[1]) != row[1] {
				continue // of goose, or a pattern
			}
			rows, err := operator.QueryContext(t.Context(), question)
			if err != nil {
				t.Errorf("the page tells of %s: %v", row[1], err)
				continue
			}
			rows.Close()
			questions++
		}
		if questions < 11 {
			t.Errorf("only %d questions found: the test does not look at the page", questions)
		}
	}
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		ask(t, "sqlite", filepath.Join(t.TempDir(), "meadow.db"), persist.OpenSQLite)
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		ask(t, "mysql", mariadbtest.Start(t).DSN(), persist.OpenMySQL)
	})
}
