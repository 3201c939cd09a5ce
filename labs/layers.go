package labs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// The labs on layers share what stands here: how files are written for them,
// and how a path is put into a table.

// writeFiles makes files with the folders above them. A path that ends in "/"
// is a folder.
func writeFiles(content map[string]string) error {
	for path, text := range content {
		if strings.HasSuffix(path, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// appendLine opens an existing or new file for writing and adds a line, as the
// shell's >> does.
func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

// readPaths tells what lies at each path: a fact for each, named by the path.
func readPaths(paths ...string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
		var facts []evidence.Fact
		for _, path := range paths {
			facts = append(facts, evidence.F(path, look(path)+" "+path, lies(path)))
		}
		return facts, nil
	}
}

// look is the command that shows what lies there.
func look(path string) string {
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.IsDir():
		return "ls -A"
	case err == nil && info.Mode().IsRegular() && info.Size() > 0:
		return "cat"
	}
	return "ls -l"
}

// lies says what lies at a path, as ls and cat would: the text of a small
// file, the names in a folder, the numbers of a device.
func lies(path string) string {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return evidence.Absent
		}
		return answer(err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return names(path)
	case unix.S_IFCHR:
		return fmt.Sprintf("character device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	case unix.S_IFLNK:
		to, err := os.Readlink(path)
		return orAnswer("-> "+to, err)
	case unix.S_IFREG:
		return text(path, st.Size)
	}
	return fs.FileMode(st.Mode).String()
}

// text is the content of a small text file in one line, or the size of another.
func text(path string, size int64) string {
	const small = 200
	switch {
	case size == 0:
		return "empty file"
	case size > small:
		return fmt.Sprintf("file of %d bytes", size)
	}
	content, err := os.ReadFile(path)
	if !utf8.Valid(content) {
		return fmt.Sprintf("file of %d bytes", size)
	}
	return orAnswer(strings.ReplaceAll(strings.TrimSpace(string(content)), "\n", "; "), err)
}

// names lists a folder as ls -A does. The list comes from getdents64(2), the
// details of a name from elsewhere, which is why the two can differ.
func names(dir string) string {
	f, err := os.Open(dir)
	if err != nil {
		return answer(err)
	}
	defer f.Close()
	list, err := f.Readdirnames(-1)
	if err == nil && len(list) == 0 {
		return "(empty)"
	}
	slices.Sort(list)
	return orAnswer(strings.Join(list, " "), err)
}

func orAnswer(value string, err error) string {
	if err != nil {
		return answer(err)
	}
	return value
}
