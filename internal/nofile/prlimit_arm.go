package nofile

const sysPrlimit64 = 369
