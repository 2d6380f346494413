//! The words of the business: ids, money, numbers, events, codes and ports. No I/O.
