package userland

// An applet is one program of the image.
type applet struct {
	name   string
	usage  string
	run    func(*call) error
	hidden bool // no program of its own in an image
}

// find looks an applet up by name. A walk over the table, for a map would be
// built at every start of cutaway.
func find(name string) *applet {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

// table lists all applets. Its content is fixed when cutaway is built: nothing
// is computed at start.
var table = [...]applet{
	{name: "stress", usage: "[OPTION]...", run: runStress},
	{name: workerName, run: runStressWorker, hidden: true},
}
