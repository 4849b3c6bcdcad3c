package main

import "github.com/fireflyrt/firefly/cluster/cli"

func main() { cli.Main(App) }
