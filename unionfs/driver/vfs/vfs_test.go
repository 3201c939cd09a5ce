package vfs_test

import (
	"path/filepath"
	"testing"

	"cutaway/internal/needs"
	"cutaway/unionfs"
	"cutaway/unionfs/contract"
	"cutaway/unionfs/driver/vfs"
)

func open(home string) (unionfs.Driver, error) { return vfs.Open(home) }

func TestMain(m *testing.M) { contract.Main(m, open) }

func TestContract(t *testing.T) {
	needs.Root(t)
	contract.Run(t, contract.Case{Open: open, Depth: 30, Residue: func(home string) ([]string, error) {
		return filepath.Glob(filepath.Join(home, "dir", "*"))
	}})
}
