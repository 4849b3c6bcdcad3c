package node

import (
	"fmt"
	"path/filepath"
	"slices"
)

// A KindRole says in which role the actors of a kind live.
type KindRole struct{ Kind, Role string }

// CheckRoles compares the nodes' roles with where kinds live. The error is Problems: each kind that
// no node can run, and each role that no kind uses and that is not the runtime's own.
func CheckRoles(c *Config, kinds []KindRole) error {
	if p := roleProblems(c, kinds); len(p) > 0 {
		return p.sorted()
	}
	return nil
}

func roleProblems(c *Config, kinds []KindRole) Problems {
	file := filepath.Base(c.Path)
	known := []string{RoleGate, RolePersist, RoleAdmin, RoleRegistry}
	for _, k := range kinds {
		if !slices.Contains(known, k.Role) {
			known = append(known, k.Role)
		}
	}
	var problems Problems
	var told []string
	for _, n := range c.Nodes {
		at := c.places["node."+n.Table+".roles="]
		for _, role := range n.Roles {
			if slices.Contains(known, role) || slices.Contains(told, n.Table+" "+role) {
				continue
			}
			told = append(told, n.Table+" "+role)
			problems = append(problems, Problem{file, at.line, at.col,
				fmt.Sprintf("role %q of node %s is used by no kind", role, n.Table),
				instead(role, known)})
		}
	}
	for _, k := range kinds {
		if len(c.With(k.Role)) == 0 {
			problems = append(problems, Problem{file, 1, 1,
				fmt.Sprintf("no node can run the kind %s: none has its role %q", k.Kind, k.Role),
				fmt.Sprintf("add %q to the roles of a node", k.Role)})
		}
	}
	return problems
}
