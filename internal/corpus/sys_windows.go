package corpus

// Stores on Windows hand out copies, so there is nothing to advise.
func adviseRandom([]byte) {}

func adviseNeed([]byte, int) {}

func adviseNormal([]byte) {}
