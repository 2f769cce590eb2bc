package nofile

const sysPrlimit64 = 340
