package cluster_test

import (
	"fmt"

	"github.com/fireflyrt/firefly/cluster"
)

func ExampleView() {
	v := &cluster.View{
		Members: []cluster.Member{ // by name
			{Name: "game-1", Roles: []string{"game"}},
			{Name: "game-2", Roles: []string{"game", "persist"}},
			{Name: "gate-1", Roles: []string{"gate"}, WS: "127.0.0.1:9401"},
		},
		Roles: map[string]*cluster.Assignment{
			"game": {Owners: []cluster.Owner{{Name: "game-1", Incarnation: 7, Epoch: 1}, {}}},
		},
	}
	gate, _ := v.Member("gate-1")
	fmt.Println(v.With("game"), gate.WS)
	fmt.Println(v.Owner("game", 0).Name, v.Owner("game", 1).Incarnation == 0)
	// Output:
	// [game-1 game-2] 127.0.0.1:9401
	// game-1 true
}
