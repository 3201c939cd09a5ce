package probe

import (
	"strconv"
	"strings"
)

// A ConfigNeed is one line of a list of kernel options that some tool wants.
type ConfigNeed struct {
	Section  string
	Required bool
	// Want is "A", "A|B" for either, "A|B+C" for A or both B and C; and then, behind
	// spaces, releases it applies to: "<5.2", "<=5.1", ">=4.15".
	Want string
}

// A ConfigVerdict is a need, judged by a config file.
type ConfigVerdict struct {
	Section  string       `json:"section"`
	Want     string       `json:"want"`
	Required bool         `json:"required"`
	State    State        `json:"state"` // yes, module, no, unknown
	Facts    []ConfigFact `json:"facts"`
}

// JudgeConfig judges every need that applies to the config's own release,
// which need not be the running one.
func JudgeConfig(c *Config, needs []ConfigNeed) []ConfigVerdict {
	var list []ConfigVerdict
	for _, n := range needs {
		words := strings.Fields(n.Want)
		if !applies(c.Version, words[1:]) {
			continue
		}
		v := ConfigVerdict{Section: n.Section, Want: words[0], Required: n.Required, State: No}
		for _, way := range strings.Split(words[0], "|") {
			fs := facts(c, strings.Split(way, "+"))
			if state := judge(fs); v.Facts == nil || rank(state) > rank(v.State) {
				v.State, v.Facts = state, fs
			}
		}
		list = append(list, v)
	}
	return list
}

// applies checks release conditions; without a known release all apply.
func applies(version string, conditions []string) bool {
	if version == "" {
		return true
	}
	for _, c := range conditions {
		op := strings.TrimRight(c, "0123456789.")
		order := compareRelease(version, c[len(op):])
		if op == "<" && order >= 0 || op == "<=" && order > 0 || op == ">=" && order < 0 {
			return false
		}
	}
	return true
}

// compareRelease compares the two leading numbers of releases: -1, 0, 1.
// They are compared as numbers: 5.10 is later than 5.9.
func compareRelease(a, b string) int {
	x, y := releaseNumbers(a), releaseNumbers(b)
	for i := range x {
		if x[i] != y[i] {
			if x[i] < y[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}

func releaseNumbers(s string) (n [2]int) {
	for i, part := range strings.SplitN(s, ".", 3) {
		if i == 2 {
			break
		}
		end := 0
		for end < len(part) && part[end] >= '0' && part[end] <= '9' {
			end++
		}
		n[i], _ = strconv.Atoi(part[:end])
	}
	return n
}
