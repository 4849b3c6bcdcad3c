package main

import "github.com/fireflyrt/firefly/cluster/node"

var rude node.App
