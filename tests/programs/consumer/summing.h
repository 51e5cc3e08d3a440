#pragma once

// 1 + 2 + ... + n, the slow way: n frames deep, with a string in each.
int sum_to(int n);
