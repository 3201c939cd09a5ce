package userland

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// Programs that read files and write what they read, or a count of it.

func runCat(c *call) error {
	f := c.flags()
	number := f.BoolP("number", "n", false, "number the lines")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	line := 0
	return c.each(func(_ string, r io.Reader) error {
		if !*number {
			_, err := io.Copy(c.out, r)
			return err
		}
		return eachLine(r, func(text string) error {
			line++
			_, err := fmt.Fprintf(c.out, "%6d\t%s\n", line, text)
			return err
		})
	})
}

// eachLine gives the lines without their ends. A line may be of any length.
func eachLine(r io.Reader, do func(string) error) error {
	for br := bufio.NewReader(r); ; {
		line, err := br.ReadString('\n')
		if line != "" {
			if err := do(strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var errEnough = errors.New("enough")

// oldCount turns "head -5" into "head -n 5".
func (c *call) oldCount() {
	if len(c.args) > 0 && len(c.args[0]) > 1 && c.args[0][0] == '-' {
		if _, err := strconv.Atoi(c.args[0][1:]); err == nil {
			c.args = append([]string{"-n", c.args[0][1:]}, c.args[1:]...)
		}
	}
}

func runHead(c *call) error {
	c.oldCount()
	f := c.flags()
	lines := f.IntP("lines", "n", 10, "how many lines")
	count := f.StringP("bytes", "c", "", "bytes instead of lines, such as 16 or 1M")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	return c.each(func(_ string, r io.Reader) error {
		if *count != "" {
			n, err := parseSize(*count)
			if err == nil {
				_, err = io.Copy(c.out, io.LimitReader(r, n))
			}
			return err
		}
		left := *lines
		err := eachLine(r, func(line string) error {
			if left--; left < 0 {
				return errEnough
			}
			_, err := fmt.Fprintln(c.out, line)
			return err
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
}

func runTail(c *call) error {
	c.oldCount()
	f := c.flags()
	lines := f.IntP("lines", "n", 10, "how many lines")
	follow := f.BoolP("follow", "f", false, "go on as the file grows")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	return c.each(func(_ string, r io.Reader) error {
		var last []string
		err := eachLine(r, func(line string) error {
			if last = append(last, line); len(last) > *lines {
				last = last[1:]
			}
			return nil
		})
		for _, line := range last {
			fmt.Fprintln(c.out, line)
		}
		for err == nil && *follow {
			time.Sleep(100 * time.Millisecond)
			_, err = io.Copy(c.out, r)
		}
		return err
	})
}

func runWc(c *call) error {
	f := c.flags()
	showLines := f.BoolP("lines", "l", false, "lines")
	showWords := f.BoolP("words", "w", false, "words")
	showBytes := f.BoolP("bytes", "c", false, "bytes")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	all := !*showLines && !*showWords && !*showBytes
	return c.each(func(name string, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		var out []string
		for _, column := range []struct {
			show bool
			n    int
		}{{*showLines, bytes.Count(data, []byte("\n"))}, {*showWords, len(bytes.Fields(data))}, {*showBytes, len(data)}} {
			if column.show || all {
				out = append(out, strconv.Itoa(column.n))
			}
		}
		if name != "-" {
			out = append(out, name)
		}
		_, err = fmt.Fprintln(c.out, strings.Join(out, " "))
		return err
	})
}

func runTee(c *call) error {
	f := c.flags()
	appending := f.BoolP("append", "a", false, "append to the files")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	outs := []io.Writer{c.out}
	mode := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if *appending {
		mode = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	for _, name := range c.args {
		file, err := os.OpenFile(name, mode, 0o666)
		if err != nil {
			c.complain(err)
			continue
		}
		defer file.Close()
		outs = append(outs, file)
	}
	_, err := io.Copy(io.MultiWriter(outs...), c.in)
	return err
}

func runSha256sum(c *call) error {
	f := c.flags()
	check := f.BoolP("check", "c", false, "read sums and names, and check them")
	if err := c.parse(f, 0); err != nil {
		return err
	}
	if *check {
		return c.each(func(_ string, r io.Reader) error { return eachLine(r, c.checkSum) })
	}
	return c.each(func(name string, r io.Reader) error {
		sum := sha256.New()
		if _, err := io.Copy(sum, r); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "%x  %s\n", sum.Sum(nil), name)
		return err
	})
}

// checkSum checks one line "<sum>  <name>".
func (c *call) checkSum(line string) error {
	want, name, ok := strings.Cut(line, "  ")
	if !ok {
		return fmt.Errorf("no line of sha256sum: %q", line)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	verdict := "OK"
	if fmt.Sprintf("%x", sha256.Sum256(data)) != want {
		verdict, c.failed = "FAILED", true
	}
	_, err = fmt.Fprintf(c.out, "%s: %s\n", name, verdict)
	return err
}
