package main

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

func TestPlayersGoOnWhateverNodeIsKilled(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: shippedConfig(t), prices: crewPrices})
	up := c.Up()
	w := c.fly(6)
	for _, d := range []struct {
		node    string
		mayLose time.Duration
	}{
		{"game-1", flushEvery + flushJitter}, {"persist-1", 0}, {"game-2", flushEvery + flushJitter}, {"admin-1", 0},
		{"registry-1", 0},
	} {
		w.bought(1)
		w.killed(d.node, d.mayLose)
	}
	w.mayBreak.Store(true)
	w.killed("gate-1", 0)
	w.stop()
	w.accounts(t)
	up.Stop()
}

func TestAMeadowInMariaDBOutlivesItsNodesAndItsDatabase(t *testing.T) {
	t.Parallel()
	db := mariadbtest.Start(t)
	config := replaced(t, shippedConfig(t), `store = "embedded"`, `store = "mysql"`)
	c := newRealCluster(t, realGame{config: config, prices: crewPrices,
		env: []string{"FIREFLY_MYSQL_DSN=" + db.DSN()}})
	if text, code := c.Run("migrate"); code != 0 {
		t.Fatalf("migrate ended with %d:\n%s", code, text)
	}
	up := c.Up()
	w := c.fly(4)
	w.bought(2)
	w.killed("game-2", flushEvery+flushJitter)
	w.bought(1)
	w.killed("persist-1", 0)

	at := time.Now()
	db.Kill()
	w.isRefused("without the database")
	w.playsOn("without the database", time.Now())
	back := time.Now()
	db.Restart()
	w.goesOn("with the database again", back)
	w.lost("the database", at, 0)
	w.faultless("without the database")
	w.stop()
	w.accounts(t)
	up.Stop()
}
