package trust

import (
	"errors"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// checkContent refuses a file that cannot be the role's by what is in it. A signature names
// no role, and one key signs a product and all its lines: only the content tells their files
// apart. A line lists levels of that line, one at least, and nothing else; a product
// delegates and lists nothing.
func checkContent(role, parent string, signed *metadata.TargetsType) error {
	var err error
	line, isLine := ParseLineRole(role)
	_, isProduct := ParseProductRole(role)
	switch {
	case isLine && signed.Delegations != nil:
		err = errors.New("it is no file of a line: it delegates")
	case isLine && len(signed.Targets) == 0:
		err = errors.New("it is no file of a line: it lists no level")
	case isLine:
		_, err = levelsOf(signed, line)
	case isProduct && len(signed.Targets) > 0:
		err = errors.New("it is no file of a product: it lists targets")
	case role == RoleTool && parent == RoleTargets:
		_, err = toolsOf(signed)
	}
	return err
}
