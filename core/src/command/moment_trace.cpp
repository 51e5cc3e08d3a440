#include "command/moments.h"

namespace stacktide {

Result<Moment> read_trace_moment(const MomentSource& source, const MomentWish&) {
  return fail(ErrorCode::not_supported, source.path);
}

}  // namespace stacktide
