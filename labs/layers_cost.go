package labs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cutaway/internal/evidence"
	"cutaway/labs/bench"
)

// What a first and a later write to a large file of an image cost: bytes on
// disk, and time. Both labs on layers measure it in the same way.

// laterWrites is how often the second write is repeated: the fastest one says
// what a write costs when nothing else disturbs it.
const laterWrites = 5

// The stopwatch files of the two steps: the time before and after each write,
// in nanoseconds since 1970, a line for each.
const firstWatch, laterWatch = "first.ns", "later.ns"

// bigBytes is the size of the large file: 32 MiB where the scratch folder, which
// is memory, has room for that many times over, else less.
func bigBytes(b *bench.Bench) int64 {
	const most, least = 32 << 20, 8 << 20
	var st unix.Statfs_t
	if err := unix.Statfs(b.Dir, &st); err != nil {
		return least
	}
	room := int64(st.Bavail) * st.Bsize / 8
	return min(most, max(least, room&^(1<<20-1)))
}

// writeBig fills a file with text. Zeros would not do: who copies a file may
// leave them out as a hole.
func writeBig(path string, size int64) error {
	return os.WriteFile(path, []byte(strings.Repeat("y\n", int(size/2))), 0o644)
}

func writeBigLine(b *bench.Bench, path string) string {
	return fmt.Sprintf("yes | head -c %d > %s", bigBytes(b), path)
}

// writeByte is one write(2) of one byte.
func writeByte(path string, offset int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("X"), offset)
	return errors.Join(err, f.Close())
}

func writeByteLine(path string, offset int) string {
	return fmt.Sprintf("printf X | dd of=%s bs=1 seek=%d conv=notrunc status=none", path, offset)
}

// timed performs an act a number of times and notes when each one began and ended.
func timed(watch string, times int, act func() error) error {
	var notes strings.Builder
	for range times {
		begin := time.Now()
		if err := act(); err != nil {
			return err
		}
		fmt.Fprintf(&notes, "%d\n%d\n", begin.UnixNano(), time.Now().UnixNano())
	}
	return os.WriteFile(watch, []byte(notes.String()), 0o644)
}

// timedLine is the same in shell.
func timedLine(watch string, times int, line string) string {
	now := "date +%s%N"
	if times == 1 {
		return fmt.Sprintf("(%s; %s; %s) > %s", now, line, now, watch)
	}
	return fmt.Sprintf("for n in $(seq %d); do %s; %s; %s; done > %s", times, now, line, now, watch)
}

// readWatch turns a stopwatch file into milliseconds, one for each act.
func readWatch(watch string) ([]float64, error) {
	notes, err := os.ReadFile(watch)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(notes))
	var spans []float64
	for i := 0; i+1 < len(fields); i += 2 {
		begin, errB := strconv.ParseInt(fields[i], 10, 64)
		end, errE := strconv.ParseInt(fields[i+1], 10, 64)
		if err := errors.Join(errB, errE); err != nil {
			return nil, fmt.Errorf("%s: %w", watch, err)
		}
		spans = append(spans, float64(end-begin)/1e6)
	}
	return spans, nil
}

// readTimes is the view of what the stopwatch files say.
func readTimes(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	var facts []evidence.Fact
	first, err := readWatch(firstWatch)
	if err == nil && len(first) > 0 {
		facts = append(facts, evidence.F("first write, ms", "cat "+firstWatch, fmt.Sprintf("%.2f", first[0])))
	}
	later, err := readWatch(laterWatch)
	if errors.Is(err, os.ErrNotExist) {
		return facts, nil
	}
	if err != nil || len(later) == 0 {
		return facts, err
	}
	return append(facts, evidence.F("fastest later write, ms", "cat "+laterWatch, fmt.Sprintf("%.2f", slices.Min(later)))), nil
}

// readCopies weighs the same file in the image and in the writable layer:
// bytes on disk (stat(2), st_blocks), and the bytes at the places written to.
func readCopies(paths ...string) func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
	return func(context.Context, *bench.Bench) ([]evidence.Fact, error) {
		var facts []evidence.Fact
		for _, path := range paths {
			size, marks := evidence.Absent, evidence.Absent
			var st unix.Stat_t
			if err := unix.Stat(path, &st); err == nil {
				size, marks = fmt.Sprint(st.Blocks*512), marksIn(path)
			}
			facts = append(facts,
				evidence.F("bytes on disk of "+path, "stat -c '%b * %B' "+path, size),
				evidence.F("bytes 0 and "+fmt.Sprint(laterOffset)+" of "+path, "od -An -c -N1 -j N "+path, marks))
		}
		return facts, nil
	}
}

// laterOffset is where the later writes go.
const laterOffset = 1000

func marksIn(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return answer(err)
	}
	defer f.Close()
	var at0, later [1]byte
	_, err0 := f.ReadAt(at0[:], 0)
	_, err1 := f.ReadAt(later[:], laterOffset)
	return orAnswer(string(at0[:])+" "+string(later[:]), errors.Join(err0, err1))
}

// firstCostsMore compares the two times. Later writes take next to nothing, so
// a machine that is busy cannot turn the two around.
func firstCostsMore() evidence.Expectation {
	return evidence.Custom("the first write took at least twice as long as the fastest later one", []string{"first write, ms", "fastest later write, ms"},
		func(o evidence.Observed) evidence.Verdict {
			first, okF := evidence.Number(o.After.Value("first write, ms"))
			later, okL := evidence.Number(o.After.Value("fastest later write, ms"))
			ok := okF && okL && later > 0 && first >= 2*later
			return evidence.Judged(ok, "first at least twice later", o.After.Value("first write, ms")+" and "+o.After.Value("fastest later write, ms"))
		})
}

// plotWrites draws what each write took, in the order in which they were made.
func plotWrites(context.Context, *bench.Bench) (evidence.Plot, error) {
	first, errF := readWatch(firstWatch)
	later, errL := readWatch(laterWatch)
	line := evidence.Line{Name: "a write of one byte"}
	for i, ms := range append(first, later...) {
		line.Points = append(line.Points, [2]float64{float64(i + 1), ms})
	}
	return evidence.Plot{Title: "time of each write to the large file", X: "writes", Y: "ms", Lines: []evidence.Line{line}}, errors.Join(errF, errL)
}
