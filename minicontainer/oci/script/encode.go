package script

import "encoding/binary"

// A call lies in memory as sixteen words. Where what is, the assembler knows by
// the same numbers.
const (
	wordNumber = 0
	wordArgs   = 1 // six of them
	wordLoad   = 7 // bit i: argument i is the address of the word that is meant
	wordResult = 8
	wordUnless = 9  // address of a result: a good one leaves this call out
	wordAllow  = 10 // two errnos
	wordNoEnd  = 12 // 1: a result of zero is a failure
	wordIndex  = 13
	wordText   = 14 // the name with room for an errno (errnoLine), and
	wordLength = 15 // how long that is

	words    = 16
	callSize = 8 * words
)

// errnoLine follows the name of a call; the digits are filled in when it fails.
const errnoLine = ": errno 000\n"

// jump is the number of a call that is none: go on at the address in the first argument.
const jump = ^uint64(0)

// act is another: something that only Perform can do.
const act = ^uint64(1)

// Jump goes on at an address: that of a script which is written later.
func (s *Script) Jump(address uint64) { s.Call("jump", 0, Int(address)).number = jump }

// Act has the Go function called in its turn. Only Perform can do that.
func (s *Script) Act(name string, f func() error) {
	c := s.Call(name, 0)
	c.number, c.act = act, f
}

// Acts says whether the script has such calls.
func (s *Script) Acts() bool {
	for _, c := range s.calls {
		if c.act != nil {
			return true
		}
	}
	return false
}

// encode writes the script as it lies in memory from the address base on: the
// calls, then their data.
func (s *Script) encode(base uint64) []byte {
	data := base + uint64(len(s.calls))*callSize
	out := make([]byte, len(s.calls)*callSize, len(s.calls)*callSize+len(s.data))
	for i, c := range s.calls {
		c.put(base, data, func(word int, v uint64) { binary.LittleEndian.PutUint64(out[i*callSize+8*word:], v) })
	}
	out = append(out, s.data...)
	for _, p := range s.pointers {
		binary.LittleEndian.PutUint64(out[int(data-base)+p.at:], data+uint64(p.to))
	}
	return out
}

// Placed is the address of some of its data for another script, once this one
// has all its calls.
func (s *Script) Placed(p Part, data Arg) Arg {
	return Int(p.Address() + uint64(len(s.calls))*callSize + data.value)
}

// put writes the words of one call.
func (c *Call) put(base, data uint64, word func(int, uint64)) {
	word(wordNumber, c.number)
	var load uint64
	for i, a := range c.args {
		v := a.value
		if a.data {
			v += data
		}
		if a.result != nil {
			v = a.result.resultAddress(base)
		}
		if a.result != nil && !a.address || a.loaded {
			load |= 1 << i
		}
		word(wordArgs+i, v)
	}
	word(wordLoad, load)
	if c.unless != nil {
		word(wordUnless, c.unless.resultAddress(base))
	}
	word(wordAllow, uint64(c.allow[0]))
	word(wordAllow+1, uint64(c.allow[1]))
	if c.noEnd {
		word(wordNoEnd, 1)
	}
	word(wordIndex, uint64(c.index))
	word(wordText, data+c.text.value)
	word(wordLength, uint64(len(c.name)+len(errnoLine)))
}

// resultAddress is where the result of the call is written.
func (c *Call) resultAddress(base uint64) uint64 {
	return base + uint64(c.index)*callSize + 8*wordResult
}
