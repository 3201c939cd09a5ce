package vfs_test

import (
	"os"
	"path/filepath"
	"testing"

	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/vfs"
)

func open(home string) (unionfs.Driver, error) { return vfs.Open(home) }

func TestMain(m *testing.M) { contract.Main(m, open) }

func TestContract(t *testing.T) {
	contract.Need(t, os.Geteuid() == 0, "root, for device nodes and owners")
	contract.Run(t, contract.Case{Open: open, Depth: 30, Residue: func(home string) ([]string, error) {
		return filepath.Glob(filepath.Join(home, "dir", "*"))
	}})
}
