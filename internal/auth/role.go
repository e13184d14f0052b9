package auth

import "fmt"

// Role is what a key may do. Each role may do what the ones before it may.
type Role string

// The roles, weakest first.
const (
	Reader Role = "reader" // look-ups, feeds, statistics
	Editor Role = "editor" // also start runs and change what feeds and lists hold
	Admin  Role = "admin"  // everything, keys too
)

// Roles lists the roles, weakest first.
func Roles() []Role { return []Role{Reader, Editor, Admin} }

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	if r := Role(s); r.rank() > 0 {
		return r, nil
	}
	return "", fmt.Errorf("unknown role %q (known: reader editor admin)", s)
}

// Allows says whether r may do what need asks for. An unknown role on either
// side allows nothing.
func (r Role) Allows(need Role) bool {
	return need.rank() > 0 && r.rank() >= need.rank()
}

func (r Role) rank() int {
	switch r {
	case Reader:
		return 1
	case Editor:
		return 2
	case Admin:
		return 3
	}
	return 0
}
