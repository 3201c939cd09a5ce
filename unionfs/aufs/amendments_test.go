package aufs

import (
	"encoding/json"
	"strings"

	"golang.org/x/sys/unix"
)

// amendments replace the expectations of records that are in Differences, by
// what is expected of us. All the rest of such a record is compared as it is.
var amendments = map[string]func(*record){
	"layer-opaque-two-levels":        hidden("d/m"),
	"layer-opaque-two-levels-empty":  hidden("d/m"),
	"layer-opaque-gap":               hidden("d/2", "d/3"),
	"layer-opaque-two-rowh-only":     hidden("d/2", "e/2"),
	"layer-opaque-hardlinked-marker": hidden("d/m"),
	"layer-stack":                    func(r *record) { r.UnionFresh = without(r.UnionFresh, "app/new") },
	"layer-rmrf-mkdir-opaque-lower-ls": func(r *record) {
		r.UnionAfter = without(r.UnionAfter, "d/m")
		hideInSteps(r, "d/m")
	},
	"ren-exchange-dir": func(r *record) {
		r.Steps[2].Errno = int(unix.EXDEV)
		nothing := []recEntry{
			recFile("a/2", "2"), recFile("b/1", "1"), recDir("a"), recDir("b"),
		}
		r.After["rw"] = append(keep(r.After["rw"], ".wh..wh.orph", ".wh..wh.plnk", whBase, "."), nothing...)
		amend(r.After["rw"], ".", "nlink", 6)
		amend(r.After["rw"], whBase, "nlink", 1)
		r.UnionAfter = append(append(keep(r.UnionAfter, "."), nothing...), recDir("c"), recFile("c/3", "3"))
		amend(r.UnionAfter, ".", "nlink", 7)
	},
	"cpup-removexattr": func(r *record) {
		r.Steps[1].Value = json.RawMessage(`["security.s"]`)
		for _, list := range [][]recEntry{r.After["rw"], r.UnionAfter} {
			amend(list, "f", "xattr", map[string]string{"security.s": "sv"})
		}
	},
	"plink-noplink": func(r *record) {
		r.Steps[3].Value = json.RawMessage(`{"mtime":"1000000000","atime":"1000000000","gid":0,"mode":"0644","nlink":2,"size":1,"type":"file","uid":0}`)
		for key, v := range map[string]any{"size": 1, "mtime": "1000000000", "nlink": 2} {
			amend(r.UnionAfter, "b", key, v)
		}
	},
	"cpup-mmap-rdonly-stale": func(r *record) { r.Steps[3].Value = json.RawMessage(`"XX23456789"`) },
	"unlink-reopen-proc":     func(r *record) { r.Steps[3].Errno = 0 },
	"cpup-acl": func(r *record) {
		r.Steps[3].Errno = 0
		for _, list := range [][]recEntry{r.UnionBefore, r.UnionAfter} {
			for _, e := range list {
				showACL(e)
			}
		}
	},
	"ren-dirren-merged": func(r *record) {
		r.Steps = r.Steps[:1]
		r.Steps[0].Errno = int(unix.EXDEV)
		r.After, r.AfterUmount, r.UnionAfter, r.UnionFresh = r.AfterMount, nil, r.UnionBefore, nil
	},
	"statfs":     func(r *record) { fuseType(r) },
	"statfs-sum": func(r *record) { fuseType(r) },
	"o-direct-dio": func(r *record) {
		r.Steps[0].Errno, r.Steps[1].Errno = 0, 0
	},
	"xattr-as-user": func(r *record) {
		r.Steps[0].Errno = 0
		r.Steps[2].Value = json.RawMessage(`["user.b"]`)
		for _, list := range [][]recEntry{r.After["rw"], r.UnionAfter} {
			amend(list, "f", "xattr", map[string]string{"user.b": "2"})
		}
	},
}

// hidden expects paths not to be there, in all listings and steps.
func hidden(paths ...string) func(*record) {
	return func(r *record) {
		for _, path := range paths {
			r.UnionBefore, r.UnionAfter = without(r.UnionBefore, path), without(r.UnionAfter, path)
			hideInSteps(r, path)
		}
	}
}

func hideInSteps(r *record, path string) {
	dir, name := splitPath(path)
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Op == "lstat" && s.Args.Path == path {
			s.Errno = 2
		}
		if s.Op == "readdir" && s.Args.Path == dir {
			text := strings.ReplaceAll(string(s.Value), " ", "")
			text = strings.ReplaceAll(text, `{"d_type":"file","name":"`+name+`"},`, "")
			text = strings.ReplaceAll(text, `{"d_type":"file","name":"`+name+`"}`, "")
			text = strings.ReplaceAll(text, "},]", "}]")
			s.Value = json.RawMessage(text)
		}
	}
}

func without(list []recEntry, path string) (out []recEntry) {
	for _, e := range list {
		if e["path"] != path {
			out = append(out, e)
		}
	}
	return out
}

func keep(list []recEntry, paths ...string) (out []recEntry) {
	for _, e := range list {
		for _, path := range paths {
			if e["path"] == path {
				out = append(out, e)
			}
		}
	}
	return out
}

func amend(list []recEntry, path, key string, value any) {
	for _, e := range list {
		if e["path"] == path {
			e[key] = value
		}
	}
}

func recFile(path, data string) recEntry {
	return recEntry{"path": path, "type": "file", "data": data, "mode": "0644", "nlink": 1, "mtime": "1000000000"}
}

func recDir(path string) recEntry {
	return recEntry{"path": path, "type": "dir", "mode": "0755", "nlink": 2, "mtime": "1000000000"}
}

// showACL expects the ACL's value where the record has an error. The values
// are those of the setup and what follows from them.
func showACL(e recEntry) {
	x, ok := e["xattr"].(map[string]any)
	if !ok {
		return
	}
	const named = "02000500e8030000"
	for name := range x {
		switch e["path"] {
		case "d":
			x[name] = "0x0200000001000700ffffffff" + named + "04000500ffffffff10000500ffffffff20000500ffffffff"
		case "d/n":
			x[name] = "0x0200000001000600ffffffff" + named + "04000500ffffffff10000400ffffffff20000400ffffffff"
		case "f":
			x[name] = "0x0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff"
		}
	}
}

func fuseType(r *record) {
	text := strings.ReplaceAll(string(r.Steps[0].Value), "0x61756673", "0x65735546")
	r.Steps[0].Value = json.RawMessage(text)
}
