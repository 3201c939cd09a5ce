package overlay2_test

import (
	"path/filepath"
	"testing"

	"cutaway/internal/needs"
	"cutaway/internal/vm"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/overlay2"
)

func open(home string) (unionfs.Driver, error) {
	return overlay2.Open(home, overlay2.Options{Parameters: "/sys/module/overlay/parameters"})
}

func TestMain(m *testing.M) {
	vm.Main() // this program is PID 1 of the guest, too
	contract.Main(m, open)
}

func TestContract(t *testing.T) {
	needs.Root(t)
	contract.Run(t, contract.Case{Open: open, Depth: 120, TooDeep: 129, Residue: residue})
}

// residue is all that is in the home beside the empty folder l.
func residue(home string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(home, "l", "*"))
	if err != nil {
		return nil, err
	}
	dirs, err := filepath.Glob(filepath.Join(home, "??*"))
	return append(names, dirs...), err
}
