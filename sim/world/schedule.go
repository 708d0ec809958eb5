package world

import "container/heap"

// schedule is what will happen, the earliest first; of what is due at once, what was
// planned first.
type schedule struct {
	tasks   tasks
	planned int
}

type task struct {
	atUS   int64
	number int
	do     func()
}

func (s *schedule) add(atUS int64, do func()) {
	s.planned++
	heap.Push(&s.tasks, task{atUS, s.planned, do})
}

func (s *schedule) empty() bool { return len(s.tasks) == 0 }

// nextUS is when the next task is due; there must be one.
func (s *schedule) nextUS() int64 { return s.tasks[0].atUS }

func (s *schedule) take() task { return heap.Pop(&s.tasks).(task) }

// tasks implements heap.Interface.
type tasks []task

func (t tasks) Len() int { return len(t) }

func (t tasks) Less(i, j int) bool {
	if t[i].atUS != t[j].atUS {
		return t[i].atUS < t[j].atUS
	}
	return t[i].number < t[j].number
}

func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }

func (t *tasks) Push(x any) { *t = append(*t, x.(task)) }

func (t *tasks) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = task{}
	*t = (*t)[:last]
	return x
}
