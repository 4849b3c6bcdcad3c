package node

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Fingerprint is a short text that differs when what a node reads of the configuration does: the tables that all share,
// and its own. Secrets, comments and other nodes are not in it.
func (c *Config) Fingerprint(n NodeConfig) string {
	var b strings.Builder
	for _, section := range sections() {
		writeKeys(&b, section, c, nil)
	}
	n.Count = 0
	writeKeys(&b, "node.*", c, &n)
	writeDoors(&b, n)
	for _, d := range n.Originals {
		if o, ok := c.Original(d.Name); ok {
			writeOriginal(&b, o)
		}
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:6])
}
