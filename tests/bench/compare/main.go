// Go's side of compare.sh: the same benchmarks as in goroutines.cpp, scheduling.cpp, stacks.cpp and calls.cpp, called in the same way
// (harness.h). Built by the script with plain `go build`.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

type benchmark struct {
	name    string
	measure func(n int) float64 // nanoseconds for n units
	perUnit int                 // operations in a unit; 0: measure(0) is called once and returns the value itself
}

const senders = 1000

var benchmarks = []benchmark{
	{"yield", yields, 2},
	{"spawn_exit", spawns(1), 1},
	{"spawn_exit_100", spawns(100), 100},
	{"spawn_exit_10000", spawns(10000), 10000},
	{"ping_pong", pingPongs, 1},
	{"buffered", buffered, 1},
	{"fan_in", fanIn, senders},
	{"recurse_10", recursions(10), 1},
	{"recurse_100", recursions(100), 1},
	{"recurse_1000", recursions(1000), 1},
	{"recurse_10000", recursions(10000), 1},
	{"grow_copy", oneGrowth, 0},
	{"grow_longest", longestGrowth, 0},
	{"shrink", shrinks, 0},
	{"parked_bytes", parkedBytes, 0},
	{"call_direct", directCalls, 1},
	{"call_inlined", inlinedCalls, 1},
	{"call_indirect", indirectCalls, 1},
	{"thread_switch_same", func(n int) float64 { return threadSwitches(n, 0) }, 2},
	{"thread_switch_other", func(n int) float64 { return threadSwitches(n, 1) }, 2},
}

func since(start time.Time) float64 { return float64(time.Since(start).Nanoseconds()) }

// --- taking turns, being born, handing over

func yields(n int) float64 {
	goroutines := 2 * runtime.GOMAXPROCS(0)
	var all sync.WaitGroup
	all.Add(goroutines)
	start := time.Now()
	for i := 0; i < goroutines; i++ {
		go func() {
			for left := n; left != 0; left-- {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	all.Wait()
	return since(start) / float64(runtime.GOMAXPROCS(0))
}

var ended int64

func onlyEnd() { atomic.AddInt64(&ended, 1) }

func spawns(together int) func(int) float64 {
	return func(n int) float64 {
		ended = 0
		start := time.Now()
		for i := 1; i <= n; i++ {
			for j := 0; j < together; j++ {
				go onlyEnd()
			}
			for atomic.LoadInt64(&ended) != int64(i*together) {
				runtime.Gosched()
			}
		}
		return since(start)
	}
}

func echo(there, back chan int) {
	for value := range there {
		back <- value
	}
}

func pingPongs(n int) float64 {
	there, back := make(chan int), make(chan int)
	go echo(there, back)
	start := time.Now()
	for i := 0; i < n; i++ {
		there <- i
		<-back
	}
	took := since(start)
	close(there)
	return took
}

func buffered(n int) float64 {
	values := make(chan int, 128)
	start := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			values <- i
		}
		close(values)
	}()
	for range values {
	}
	return since(start)
}

func fanIn(n int) float64 {
	values := make(chan int)
	for i := 0; i < senders; i++ {
		go func() {
			for j := 0; j < n; j++ {
				values <- j
			}
		}()
	}
	start := time.Now()
	for i := 0; i < senders*n; i++ {
		<-values
	}
	return since(start)
}

func stayOn(processor int) {
	set := [16]uint64{1 << uint(processor)}
	if _, _, problem := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set))); problem != 0 {
		panic(problem)
	}
}

func threadSwitches(n, other int) float64 {
	there, back, took := make(chan int), make(chan int), make(chan float64)
	go func() {
		runtime.LockOSThread()
		stayOn(other)
		echo(there, back)
	}()
	go func() {
		runtime.LockOSThread()
		stayOn(0)
		start := time.Now()
		for i := 0; i < n; i++ {
			there <- i
			<-back
		}
		took <- since(start)
		close(there)
	}()
	return <-took
}

// --- stacks

// 64 bytes of stack a call, as in stacks.cpp.
//
//go:noinline
func recurse(n int) int {
	var room [4]int
	room[n&3] = n
	if n == 0 {
		return room[0]
	}
	return recurse(n-1) + room[n&3]
}

func recursions(depth int) func(int) float64 {
	return func(n int) float64 {
		var done sync.WaitGroup
		start := time.Now()
		for i := 0; i < n; i++ {
			done.Add(1)
			go func() {
				recurse(depth)
				done.Done()
			}()
			done.Wait()
		}
		return since(start)
	}
}

var base = time.Now()

// Notes when each call began. 256 bytes of stack a call, as in stacks.cpp.
//
//go:noinline
func clocked(n int, times []int64) int {
	var room [25]int
	times[0] = int64(time.Since(base))
	room[n&15] = n
	if n == 0 {
		return room[0]
	}
	return clocked(n-1, times[1:]) + room[n&15]
}

func longestStep(times []int64, first, last int) int64 {
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		clocked(last, times)
		done.Done()
	}()
	done.Wait()
	var longest int64
	for i := first; i < last; i++ {
		if step := times[i+1] - times[i]; step > longest {
			longest = step
		}
	}
	return longest
}

func oneGrowth(int) float64 {
	times := make([]int64, 201)
	var found []int64
	for i := 0; i < 401; i++ {
		found = append(found, longestStep(times, 90, 160))
	}
	sort.Slice(found, func(i, j int) bool { return found[i] < found[j] })
	return float64(found[200]) / 32
}

func longestGrowth(int) float64 {
	times := make([]int64, 80001)
	longestStep(times, 0, 1000)
	return float64(longestStep(times, 0, 80000))
}

// Go shrinks stacks when it collects garbage, so the time is that of a collection, less that of one with nothing to shrink.
func shrinks(int) float64 {
	const goroutines = 1000
	never := make(chan int)
	var deep sync.WaitGroup
	deep.Add(goroutines)
	for i := 0; i < goroutines; i++ {
		go func() {
			recurse(400)
			deep.Done()
			<-never
		}()
	}
	deep.Wait()
	time.Sleep(20 * time.Millisecond) // until all wait
	collect := func() float64 {
		start := time.Now()
		runtime.GC()
		return since(start)
	}
	stacks := func() uint64 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.StackInuse
	}
	before := stacks()
	took := 0.0
	for i := 0; i < 3; i++ {
		took += collect()
	}
	if stacks()+goroutines*(32-4)*1024*9/10 > before {
		panic("the stacks did not shrink")
	}
	for i := 0; i < 3; i++ {
		collect()
	}
	return (took/3 - collect()) / goroutines
}

func residentBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	var size, resident int
	if _, bad := fmt.Sscan(string(text), &size, &resident); err != nil || bad != nil {
		panic("cannot read /proc/self/statm")
	}
	return float64(resident) * 4096
}

func parkedBytes(int) float64 {
	const goroutines = 100000
	never := make(chan int)
	park := func(n int) {
		var there sync.WaitGroup
		there.Add(n)
		for i := 0; i < n; i++ {
			go func() {
				there.Done()
				<-never
			}()
		}
		there.Wait()
		time.Sleep(20 * time.Millisecond) // until all wait
	}
	park(100)
	before := residentBytes()
	park(goroutines)
	return (residentBytes() - before) / goroutines
}

// --- calls

//go:noinline
func inner(n int) int { return n + 1 }

//go:noinline
func outer(n int) int { return inner(n) ^ n }

func inlined(n int) int { return n + 1 }

var sink int

func directCalls(n int) float64 {
	start := time.Now()
	sum := 0
	for i := 0; i < n; i++ {
		sum += outer(i)
	}
	sink = sum
	return since(start)
}

func inlinedCalls(n int) float64 {
	start := time.Now()
	sum := 0
	for i := 0; i < n; i++ {
		sum += inlined(i) ^ i
	}
	sink = sum
	return since(start)
}

var pointer = outer

func indirectCalls(n int) float64 {
	start := time.Now()
	sum := 0
	for i := 0; i < n; i++ {
		sum += pointer(i)
	}
	sink = sum
	return since(start)
}

// --- one round

func oneRound(b benchmark, wanted float64) float64 {
	if b.perUnit == 0 {
		return b.measure(0)
	}
	n := 1
	took := b.measure(n)
	for took < wanted/4 {
		factor := wanted / took
		if factor < 2 {
			factor = 2
		}
		if factor > 10 {
			factor = 10
		}
		n = int(float64(n) * factor)
		took = b.measure(n)
	}
	n = int(float64(n) * wanted / took)
	if n < 1 {
		n = 1
	}
	return b.measure(n) / float64(n) / float64(b.perUnit)
}

func main() {
	wanted := 100.0
	if len(os.Args) > 2 {
		if given, err := strconv.ParseFloat(os.Args[2], 64); err == nil {
			wanted = given
		}
	}
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	for _, b := range benchmarks {
		if name == "--list" {
			fmt.Println(b.name)
		} else if name == b.name {
			fmt.Printf("%s\t%.3f\n", name, oneRound(b, wanted*1e6))
			return
		}
	}
	if name != "--list" {
		fmt.Fprintf(os.Stderr, "no benchmark '%s'; --list names them\n", name)
		os.Exit(2)
	}
}
