// Meadow is the sample game of Firefly: fireflies fly over a meadow at night, gather sparks, talk, and buy a brighter
// light. Read it in this order: message.go, player.go, room.go, then what they are made of.
package main

import (
	"embed"
	"io/fs"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/hotreload"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/chat"
	"github.com/fireflyrt/firefly/modules/scene"
	"github.com/fireflyrt/firefly/modules/wallet"
	"github.com/fireflyrt/firefly/persist"
)

// The kinds of Meadow.
const (
	LoginKind  actors.KindName = "login"
	PlayerKind actors.KindName = "player" // id: the player's name
	RoomKind   actors.KindName = "room"   // id: "column,row"
)

//go:embed web tables migration
var files embed.FS

// App is the whole game, as every node of the cluster gets it.
var App = node.App{
	Name: "meadow",
	Game: node.Module{Name: "meadow", Messages: messages, Tables: []hotreload.Declared{Prices},
		SQLTables: []persist.Declared{scores}, Migrations: folder("migration"), Kinds: []actors.Kind{
			{Name: LoginKind, New: account.Door(PlayerKind), Workers: 4},
			{Name: PlayerKind, New: newPlayer},
			{Name: RoomKind, New: newRoom},
		}},
	Modules: []node.Module{
		{Name: "gift", Messages: giftMessages},
		{Name: "account", Messages: account.Messages},
		{Name: "wallet", Messages: wallet.Messages},
		{Name: "chat", Messages: chat.Messages},
		{Name: "scene", Messages: scene.Messages},
	},
	Web:        folder("web"),
	TableDir:   "sample/tables",
	TableFiles: folder("tables"),
	Bot:        bot,
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return sub
}
