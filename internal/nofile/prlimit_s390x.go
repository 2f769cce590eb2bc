package nofile

const sysPrlimit64 = 334
