package minicontainer

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The words for containers without a name: what a container may be like, and
// what people look at through a microscope. Cut into words when they are wanted:
// what a package does when a program begins, every start of a container pays for.
const (
	manners = `able airy apt bold brave brisk calm candid clear clever cosy crisp deft eager early
		fair fine fleet fond frank free fresh gentle glad grand happy hardy honest jolly keen kind lively loyal
		lucid mellow merry mild modest neat nimble noble open patient plain polite prompt proud quick quiet rapid
		ready robust serene sharp simple sleek smart snug sober solid spry stable steady still sunny swift tidy
		trusty vivid warm wise witty zesty`
	subjects = `acorn alga amber aphid aster basil beetle birch cedar clover coral cricket crystal
		daisy diatom ember feather fennel fern flint gecko ginkgo granite hazel heron iris ivy juniper kelp lichen
		lily linden lotus maple marble mica minnow moss moth newt oak olive onyx opal orchid otter pebble petal
		pine plankton pollen poppy quartz reed rowan sage seed shell slate snail sorrel spore spruce starling thistle
		thyme topaz tulip tundra vine violet walnut willow wren yarrow yeast`
)

// randomName is two words; from the second try on with a number behind them.
func randomName(try int) string {
	name := oneOf(manners) + "_" + oneOf(subjects)
	if try > 0 {
		name += fmt.Sprint(rand.IntN(1000))
	}
	return name
}

func oneOf(words string) string {
	list := strings.Fields(words)
	return list[rand.IntN(len(list))]
}
