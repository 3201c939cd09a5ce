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
	{name: "[", usage: "EXPRESSION ]", run: runBuiltin},
	{name: "cat", usage: "[-n] [FILE]...", run: runCat},
	{name: "chmod", usage: "[-R] MODE FILE...", run: runChmod},
	{name: "chown", usage: "[-R] OWNER[:GROUP] FILE...", run: runChown},
	{name: "cp", usage: "[-arp] SOURCE... TARGET", run: runCp},
	{name: "cut", usage: "-f LIST [-d CHAR] [FILE]...", run: runCut},
	{name: "date", usage: "[-u] [+FORMAT]", run: runDate},
	{name: "df", usage: "[-h] [PATH]...", run: runDf},
	{name: "du", usage: "[-sh] [PATH]...", run: runDu},
	{name: "echo", usage: "[-n] [TEXT]...", run: runBuiltin},
	{name: "env", usage: "[-i] [-u NAME] [NAME=VALUE]... [PROGRAM [ARG]...]", run: runEnv},
	{name: "false", usage: "", run: runFalse},
	{name: "find", usage: "[PATH]... [-name PATTERN] [-type t] [-maxdepth N] [-inum N] [-xdev] [-delete]", run: runFind},
	{name: "grep", usage: "[-ivncqoEF] PATTERN [FILE]...", run: runGrep},
	{name: "head", usage: "[-n LINES] [-c BYTES] [FILE]...", run: runHead},
	{name: "hostname", usage: "[NAME]", run: runHostname},
	{name: "httpd", usage: "[-fv] [-p [ADDRESS:]PORT] [-h FOLDER]", run: runHttpd},
	{name: "id", usage: "[-ugn]", run: runID},
	{name: "ip", usage: "addr|link|route [show] [dev DEVICE]", run: runIP},
	{name: "kill", usage: "[-SIGNAL] PID...", run: runKill},
	{name: "ln", usage: "[-sf] TARGET NAME", run: runLn},
	{name: "ls", usage: "[-lainhtd1] [PATH]...", run: runLs},
	{name: "mkdir", usage: "[-p] [-m MODE] FOLDER...", run: runMkdir},
	{name: "mktemp", usage: "[-d] [TEMPLATE]", run: runMktemp},
	{name: "mount", usage: "[-t TYPE] [-o OPTIONS] [--bind] SOURCE TARGET", run: runMount},
	{name: "mv", usage: "SOURCE... TARGET", run: runMv},
	{name: "nc", usage: "[-z] [-w SECONDS] HOST PORT | -l -p PORT", run: runNc},
	{name: "nproc", usage: "", run: runNproc},
	{name: "printf", usage: "FORMAT [ARG]...", run: runBuiltin},
	{name: "ps", usage: "[-o COLUMN,...]", run: runPs},
	{name: "pwd", usage: "", run: runBuiltin},
	{name: "readlink", usage: "[-f] PATH...", run: runReadlink},
	{name: "rm", usage: "[-rf] PATH...", run: runRm},
	{name: "rmdir", usage: "FOLDER...", run: runRmdir},
	{name: "seq", usage: "[FIRST [STEP]] LAST", run: runSeq},
	{name: "sh", usage: "[-ex] [-c COMMANDS | FILE] [ARG]...", run: runSh},
	{name: "sha256sum", usage: "[-c] [FILE]...", run: runSha256sum},
	{name: "sleep", usage: "TIME[smhd]...", run: runSleep},
	{name: "sort", usage: "[-nru] [-k FIELD] [FILE]...", run: runSort},
	{name: "stat", usage: "[-c FORMAT] PATH...", run: runStat},
	{name: "stress", usage: "[OPTION]...", run: runStress},
	{name: "sync", usage: "", run: runSync},
	{name: "tail", usage: "[-n LINES] [-f] [FILE]...", run: runTail},
	{name: "tar", usage: "-c|-x|-t [-zv] [-f ARCHIVE] [-C FOLDER] [PATH]...", run: runTar},
	{name: "tee", usage: "[-a] [FILE]...", run: runTee},
	{name: "test", usage: "EXPRESSION", run: runBuiltin},
	{name: "touch", usage: "PATH...", run: runTouch},
	{name: "tr", usage: "[-ds] SET [SET]", run: runTr},
	{name: "true", usage: "", run: runTrue},
	{name: "umount", usage: "[-l] TARGET...", run: runUmount},
	{name: "uname", usage: "[-asnrvm]", run: runUname},
	{name: "uniq", usage: "[-c] [FILE]...", run: runUniq},
	{name: "wc", usage: "[-lwc] [FILE]...", run: runWc},
	{name: "wget", usage: "[-q] [-O FILE] [-T SECONDS] ADDRESS", run: runWget},
	{name: "whoami", usage: "", run: runWhoami},
	{name: "yes", usage: "[TEXT]", run: runYes},
	{name: workerName, run: runStressWorker, hidden: true},
}
